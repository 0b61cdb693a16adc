"""Words for hobbies, travel, health, possessions and plans."""

from __future__ import annotations

from memgym.tasks.procedural.words_values import _items

HOBBIES = _items(
    """pottery; archery; birdwatching; fencing; calligraphy; bouldering; salsa dancing; woodcarving; origami;
    stargazing; kayaking; knitting; geocaching; beekeeping; juggling; falconry; quilting; orienteering; chess; soap
    making; kite surfing; metal detecting; model railways; ice skating; tango; candle making; trail running;
    stand-up comedy; improv theatre; watercolour painting; table tennis; drone racing; crossword setting; lock
    picking; curling; bonsai growing; scuba diving; linocut printing; roller skating; gardening; sourdough baking;
    magic tricks; rowing; mushroom foraging; jewellery making; badminton; puppetry; glass blowing; cold-water
    swimming; embroidery"""
)
INSTRUMENTS = _items(
    """cello; banjo; oboe; trombone; accordion; harp; balalaika; clarinet; bassoon; mandolin; zither; saxophone;
    violin; lyre; flute; harmonica; French horn; double bass; piano; sitar; tuba; lute; xylophone; bass guitar;
    viola"""
)
BOOK_HEADS = _items(
    """The Last; A Winter of; The Silent; Beyond the; The Glass; Letters from the; The Forgotten; Under the; The Paper;
    Shadows of the; The Clockmaker's; Return to the; The Salt; Daughters of the; The Hollow; Songs for a; The Amber;
    Notes on a; The Drowned; Keepers of the"""
)
BOOK_TAILS = _items(
    """Orchard; Harbour; Cartographer; Lighthouse; Garden; Meridian; Archive; River; Sparrow; Cathedral; Island; Tide;
    Foxes; Observatory; Bridge; Winter; Mountain; Stranger; Carnival; Province; Labyrinth; Desert; Kingdom; Train;
    Hourglass"""
)
BAND_HEADS = _items(
    """Velvet; Electric; Paper; Midnight; Broken; Neon; Cosmic; Hollow; Static; Crystal; Savage; Plastic; Lunar;
    Rubber; Golden; Frozen; Desert; Liquid; Feral; Distant"""
)
BAND_TAILS = _items(
    """Antlers; Parade; Lanterns; Foxes; Satellites; Orchard; Tigers; Elevators; Harbors; Mirrors; Pilots; Wolves;
    Gardens; Engines; Prophets; Sailors; Thieves; Comets; Pigeons; Saints"""
)
CLUB_HEADS = _items(
    """Riverside; Northside; Hilltop; Lakeside; Old Town; Harbourside; Eastgate; Westfield; Greenbelt; Castle; Union;
    Parkview; Valley; Bayside; Central; Southbank; Highfield; Milltown; Seaview; Crossroads"""
)
CLUB_TAILS = _items(
    """Rowing Club; Choir; Chess Club; Runners; Climbers; Swim Team; Book Circle; Cycling Club; Drama Group; Tennis
    Club; Ramblers; Brass Band; Quiz Team; Photography Club; Volleyball Team"""
)
COUNTRIES = _items(
    """Iceland; Peru; Japan; Morocco; Norway; Vietnam; Kenya; Portugal; New Zealand; Chile; Jordan; Nepal; Croatia;
    Mexico; Finland; Madagascar; Ecuador; Georgia; Sri Lanka; Mongolia; Namibia; Ireland; Tanzania; Cuba; Bhutan;
    Slovenia; Bolivia; Oman; Laos; Greece; Colombia; Senegal; Indonesia; Malta; Estonia; Uzbekistan; Costa Rica;
    Ghana; Armenia; Canada"""
)
CITIES = _items(
    """Lisbon; Kyoto; Marrakesh; Tallinn; Valparaiso; Hanoi; Bergen; Seville; Krakow; Dubrovnik; Cusco; Nairobi;
    Galway; Tbilisi; Ghent; Porto; Split; Bruges; Salzburg; Reykjavik; Havana; Oaxaca; Antwerp; Bologna; Ljubljana;
    Vilnius; Naples; Bilbao; Lyon; Gdansk; Zanzibar; Adelaide; Vancouver; Montreal; Boston; Seattle; Savannah;
    Denver; Chicago; Osaka; Sapporo; Busan; Taipei; Jaipur; Kochi; Muscat; Amman; Dakar; Accra; Windhoek; Quito;
    Cartagena; Montevideo; Cordoba; Granada; Palermo; Turin; Trieste; Innsbruck; Basel; Lucerne; Dresden; Leipzig;
    Bremen; Aarhus; Malmo; Turku; Riga; Sofia; Varna; Izmir; Athens; Corfu; Nicosia; Marseille; Bordeaux; Nantes;
    Utrecht; Edinburgh; Inverness; Cardiff; York; Cork; Belfast"""
)
VEHICLES = _items(
    """tram; ferry; cargo bike; scooter; moped; trolleybus; night train; folding bike; car pool; metro; unicycle;
    longboard; cable car; electric bike; rowing boat; minibus; water taxi; express train; kick scooter; funicular"""
)
TRAIL_HEADS = _items(
    """Eagle; Granite; Misty; Wolf; Pilgrim; Cedar; Raven; Thunder; Shepherd; Crystal; Lonely; Smuggler; Marmot;
    Falcon; Heather; Juniper; Otter; Bear; Lynx; Silver"""
)
TRAIL_TAILS = _items(
    """Ridge; Gorge; Falls; Peak; Pass; Canyon; Loop; Summit; Valley; Crest; Plateau; Lake; Saddle; Cliffs; Trail"""
)
EXERCISES = _items(
    """pilates; aqua aerobics; rope skipping; spinning; hot yoga; kettlebells; tai chi; power walking; boxing drills;
    circuit training; stair climbing; rowing machine; barre; crossfit; swimming laps; step aerobics; resistance
    bands; trampolining; sprint intervals; hula hooping; calisthenics; nordic walking; pole fitness; zumba; capoeira"""
)
CONDITIONS = _items(
    """migraines; back pain; insomnia; hay fever; asthma; tinnitus; eczema; heartburn; anaemia; vertigo; sciatica; high
    blood pressure; tennis elbow; dry eyes; cluster headaches; low blood sugar; frozen shoulder; gout; sinusitis;
    travel sickness; restless legs; jaw pain; cold sores; plantar fasciitis; gluten intolerance"""
)
BODY_PARTS = _items(
    """left ankle; right wrist; left knee; right shoulder; left thumb; right elbow; left hip; right heel; left calf;
    right index finger; left wrist; right ankle; right knee; left shoulder; left elbow; right thumb; neck; lower
    back; left big toe; right hamstring"""
)
CHECKS = _items(
    """eye test; hearing test; blood test; skin screening; allergy test; chest scan; heart scan; lung test; bone scan;
    thyroid check; sleep study; flu shot; tetanus shot; cholesterol test; knee scan; root canal; dental cleaning;
    stress test; mole removal; back scan"""
)
SUPPLEMENTS = _items(
    """magnesium; vitamin D; zinc; fish oil; iron tablets; probiotics; turmeric capsules; vitamin C; folic acid;
    selenium; ashwagandha; spirulina; collagen powder; biotin; ginseng; calcium; melatonin; evening primrose oil;
    iodine; electrolyte powder"""
)
CAR_MAKES = _items(
    """Volvo; Fiat; Skoda; Honda; Saab; Renault; Subaru; Opel; Citroen; Mazda; Peugeot; Toyota; Seat; Dacia; Kia;
    Suzuki; Lancia; Nissan; Volkswagen; Hyundai"""
)
CAR_BODIES = _items(
    """estate; hatchback; convertible; pickup; camper van; minivan; coupe; hybrid; saloon; station wagon; jeep;
    roadster; electric van; two-seater; people carrier"""
)
ITEM_HEADS = _items(
    """vintage; leather; second-hand; ceramic; brass; folding; waterproof; hand-painted; wooden; digital; marble;
    portable; woollen; cast-iron; solar; antique; bamboo; velvet; enamel; silver; canvas; tartan; cordless;
    inflatable; wicker"""
)
ITEM_TAILS = _items(
    """typewriter; backpack; teapot; lamp; telescope; raincoat; suitcase; camera; armchair; clock; record player;
    umbrella; tent; kettle; mirror; radio; blender; rug; watch; picture frame; bookcase; chessboard; paddle;
    lantern; frying pan"""
)
LOSABLES = _items(
    """wallet; house keys; passport; sunglasses; headphones; library card; wedding ring; water bottle; scarf; earbuds;
    driving licence; notebook; gloves; phone charger; bus pass; reading glasses; lunch box; power bank; gym bag;
    rain jacket; bike lock; swimming goggles; memory stick; camera lens; left earring"""
)
COLLECTIBLES = _items(
    """vinyl records; fountain pens; postage stamps; snow globes; fridge magnets; old maps; tin robots; comic books;
    seashells; matchboxes; teaspoons; film posters; pocket watches; beer mats; cacti; fossils; thimbles; marbles;
    concert tickets; board games; masks; music boxes; coins; enamel badges; minerals; postcards; bottle openers;
    perfume bottles; toy soldiers; sneakers"""
)
CHARMS = _items(
    """four-leaf clover; rabbit brooch; jade pebble; wooden acorn; silver sixpence; horseshoe nail; blue marble; glass
    bead; brass button; dried seahorse; tiger's-eye stone; paper crane; pewter owl; bronze key; lucky penny; ceramic
    frog; chestnut; ivory domino; red thread bracelet; tin whistle"""
)
LANGUAGES = _items(
    """Portuguese; Swahili; Finnish; Korean; Arabic; Welsh; Turkish; Icelandic; Hindi; Catalan; Polish; Mandarin;
    Hungarian; Basque; Greek; Vietnamese; Norwegian; Hebrew; Estonian; Tagalog; Czech; Urdu; Gaelic; Romanian; Thai"""
)
GOALS = _items(
    """running a half marathon; writing a novel; building a canoe; learning to weld; visiting every national park;
    recording an album; planting a hundred trees; swimming across the bay; cycling to the coast; opening a food
    stall; restoring the old piano; climbing a glacier; reading fifty books; growing a giant pumpkin; publishing a
    cookbook; walking the pilgrim route; building a greenhouse; quitting sugar; flying a glider; joining a choir;
    fostering a greyhound; launching a podcast; learning to juggle; finishing the quilt; sailing to the islands;
    painting a mural; brewing a stout; mastering the tango; starting a charity; fixing the tractor"""
)
COURSES = _items(
    """first aid; bookkeeping; sign language; bread making; motorcycle maintenance; photography; creative writing;
    coding for beginners; public speaking; wine tasting; floristry; self-defence; interior design; carpentry;
    sewing; sailing; screenwriting; mindfulness; stone carving; bartending; animal care; video editing; life
    drawing; beekeeping for beginners; car repair; stained glass; weaving; food hygiene; family law; meteorology"""
)
EXAMS = _items(
    """driving; boating; piano grade five; real estate; first aid; German; ham radio; scuba; notary; pilot's; hunting;
    sommelier; accounting; sign language; forklift; citizenship; lifeguard; French; mountain guide; drone licence"""
)
PARTIES = _items(
    """masquerade party; pizza night; garden party; costume party; karaoke night; board game night; barbecue; fondue
    night; murder mystery dinner; movie marathon; tea party; rooftop party; bonfire; cocktail evening; potluck; jazz
    evening; wine tasting; lantern festival; quiz night; pool party; poetry reading; clothes swap; house concert;
    craft fair; street party"""
)
FAMILY_OCCASIONS = _items(
    """silver wedding; golden wedding; baptism; engagement party; family reunion; baby shower; graduation ceremony;
    retirement party; naming ceremony; housewarming; school play; name day; first communion; wedding rehearsal;
    family picnic; christening; bridal shower; bar mitzvah; ninetieth birthday; memorial service"""
)
