"""Words that slot values are made of: whole values, and the parts of composed ones."""

from __future__ import annotations


def _items(text: str) -> tuple[str, ...]:
    """Split a ``;``-separated block into items, blanks and line breaks collapsed."""
    return tuple(" ".join(item.split()) for item in text.split(";"))


JOBS = _items(
    """florist; optician; baker; welder; librarian; pharmacist; carpenter; translator; paramedic; beekeeper; locksmith;
    radiographer; tailor; surveyor; plumber; bookbinder; cartographer; midwife; electrician; archivist; barista;
    veterinarian; glazier; accountant; firefighter; chemist; upholsterer; statistician; lifeguard; proofreader;
    sommelier; dietitian; roofer; actuary; sculptor; court clerk; tram driver; ferry captain; piano tuner; museum
    guide; data analyst; night nurse; speech therapist; sound engineer; crane operator; tax adviser; pastry chef;
    set designer; wind turbine technician; park ranger; dance instructor; game tester; patent lawyer; bike mechanic;
    forensic accountant; air traffic controller; school counsellor; bridge inspector; puppet maker; wedding
    photographer; grant writer; dental hygienist; furniture restorer; ski instructor; train dispatcher; food critic;
    stunt driver; perfume blender; violin maker; ice cream taster; web designer; property manager; zookeeper;
    swimming teacher; bus driver; research assistant; insurance broker; landscape gardener; prosthetics fitter;
    radio producer; safety inspector; payroll clerk; toy designer; water engineer"""
)
EMPLOYER_HEADS = _items(
    """Lindgren; Okonjo; Harbor; Bluefin; Northgate; Silverline; Maplewood; Redstone; Ironbridge; Larkspur; Juniper;
    Copperfield; Stonehill; Brightwater; Foxglove; Kestrel; Meridian; Oakhurst; Pinecrest; Quarry Lane; Riverbend;
    Summit; Tidewater; Umberto; Vantage; Westbrook; Yellowtail; Zenith; Amberley; Blackthorn; Cinderhall; Driftwood;
    Eastlake; Fairmont; Goldcrest; Hawthorn; Ivory Coast; Jasperson; Kingsway; Lowell"""
)
EMPLOYER_TAILS = _items(
    """& Sons; Logistics; Hospital; Robotics; Textiles; Foods; Publishing; Bank; Studios; Optics; Ceramics; Airlines;
    Insurance; Brewery; Academy; Pharmacy; Shipping; Solar; Instruments; Architects; Records; Motors; Dairy; Labs;
    Legal; Gardens; Theatre; Press; Media; Consulting"""
)
TOWN_HEADS = _items(
    """Kel; Ash; Thorn; Wilt; Fern; Heath; Bram; Cold; Dun; Elm; Glen; Hazel; Iver; Kirk; Lang; Mar; Nor; Oster; Pel;
    Quen; Raven; Stan; Tren; Uller; Vel; Wex; Yar; Zel; Alder; Brock; Crans; Dray; Ever; Farn; Gris; Hols; Keld;
    Lin; Mil; Nether"""
)
TOWN_TAILS = _items(
    """brook; ford; wick; haven; mere; stead; bury; combe; dale; field; gate; holm; leigh; minster; port; ridge; shaw;
    thorpe; vale; worth; moor; burn; cliffe; by; mouth"""
)
STREET_HEADS = _items(
    """Juniper; Chapel; Mill; Orchard; Lantern; Cobbler; Heron; Willow; Sycamore; Tannery; Windmill; Bakers; Saddler;
    Foundry; Larch; Magpie; Nightingale; Old Quay; Poplar; Quarry; Rosemary; Swan; Tollgate; Union; Viaduct; Walnut;
    Yew; Canal; Beacon; Abbey; Briar; Cedar; Drover; Elder; Ferry"""
)
STREET_TAILS = _items(
    """Lane; Street; Road; Avenue; Terrace; Row; Close; Square; Crescent; Drive; Court; Way; Hill; Walk"""
)
HOMES = _items(
    """houseboat; studio flat; farmhouse; terraced house; loft apartment; bungalow; converted barn; basement flat;
    townhouse; log cabin; penthouse; semi-detached cottage; mobile home; converted chapel; duplex; garden flat; tiny
    house; lighthouse keeper's cottage; maisonette; shared farmhouse"""
)
COLOURS = _items(
    """teal; mustard yellow; navy blue; burgundy; sage green; coral; lavender; charcoal grey; turquoise; terracotta;
    olive green; crimson; ivory; plum; copper; mint green; cobalt blue; peach; emerald green; sand"""
)
APPLIANCES = _items(
    """boiler; dishwasher; washing machine; garage door; kitchen tap; fridge; bathroom fan; doorbell; roof gutter;
    oven; skylight; radiator; shower pump; front door lock; chimney; tumble dryer; garden fence; water heater;
    extractor hood; balcony railing"""
)
SUBJECTS = _items(
    """marine biology; art history; civil engineering; comparative literature; theoretical physics; nursing; economics;
    anthropology; music theory; graphic design; philosophy; organic chemistry; linguistics; urban planning;
    astronomy; criminology; veterinary medicine; sociology; geology; computer science; theology; botany;
    archaeology; sports science; fashion design; public health; political science; aerospace engineering; dentistry;
    statistics; food science; film studies; forestry; material science; religious studies; social work; mathematics;
    ecology; journalism; hotel management"""
)
MONTHS = _items("""January; February; March; April; May; June; July; August; September; October; November; December""")
DOGS = _items(
    """beagle; greyhound; corgi; dachshund; whippet; border collie; boxer; poodle; dalmatian; labrador; husky;
    schnauzer; cocker spaniel; terrier; basset hound; pug; akita; samoyed; bulldog; vizsla"""
)
CATS = _items(
    """tabby; Siamese; Maine Coon; ragdoll; Persian; Bengal; sphynx; Birman; calico; tortoiseshell; Burmese; Manx;
    Russian Blue; Abyssinian; Scottish Fold; Norwegian Forest Cat; Chartreux; tuxedo cat; Bombay; Korat"""
)
TOY_HEADS = _items(
    """squeaky; rubber; plush; knotted; wooden; bouncy; woollen; striped; chewed-up; glow-in-the-dark; stuffed; tiny;
    battered; feathered; rattling; crocheted; one-eyed; spotted; leather; velvet"""
)
TOY_TAILS = _items(
    """duck; rope; hedgehog; ball; mouse; bone; carrot; slipper; octopus; ring; frisbee; dragon; banana; lobster;
    pineapple; crab; snail; shark; moose; lemon"""
)
SPOTS = _items(
    """laundry basket; bathtub; bookshelf; airing cupboard; piano stool; suitcase; window sill; coat rack; fruit crate;
    sock drawer; armchair; wheelbarrow; shoe box; guitar case; linen closet; picnic hamper; doormat; hammock; filing
    cabinet; desk drawer; bread bin; sofa bed; tool shed; ironing board; rocking chair"""
)
FEARS = _items(
    """thunder; the vacuum cleaner; balloons; umbrellas; the doorbell; fireworks; plastic bags; hair dryers; bicycles;
    mirrors; the lawn mower; escalators; garden hoses; skateboards; ceiling fans; sneezing; brooms; puddles;
    motorbikes; the printer; wind chimes; shopping trolleys; statues; geese; men with hats"""
)
AILMENTS_PET = _items(
    """an ear infection; a broken claw; a swollen paw; a skin rash; a chipped tooth; a nettle rash; worms; an eye
    infection; a limp; fleas; a stomach bug; a torn ligament; a cough; dry skin; a tick bite; a cut lip; a bald
    patch; mites; a blocked tear duct; a sore hip"""
)
DISH_HEADS = _items(
    """smoked; roasted; spicy; lemon; mushroom; pumpkin; coconut; saffron; braised; garlic; pickled; grilled; truffle;
    ginger; walnut; chili; fennel; rosemary; miso; paprika; sweet potato; black bean; spinach; leek; almond; sesame;
    aubergine; chickpea; artichoke; celery"""
)
DISH_TAILS = _items(
    """risotto; ramen; curry; lasagne; dumplings; goulash; paella; gnocchi; tacos; chowder; quiche; pilaf; stew;
    tagine; pancakes; burritos; casserole; meatballs; noodles; tart; soup; skewers; pie; salad; fritters"""
)
ALLERGENS = _items(
    """peanuts; shellfish; kiwi; strawberries; celery; mustard; soy; hazelnuts; mango; eggs; sesame seeds; cashews;
    lupin; penicillin; latex; wasp venom; cat hair; birch pollen; dust mites; ragweed; sulphites; pineapple;
    buckwheat; nickel; tomatoes; walnuts; lentils; corn; avocado; barley"""
)
DISLIKES = _items(
    """olives; coriander; blue cheese; beetroot; liquorice; raisins; anchovies; brussels sprouts; marzipan; capers;
    okra; oysters; liver; tofu skin; goat cheese; grapefruit; rhubarb; sauerkraut; cottage cheese; radishes;
    parsnips; kale; turnips; eggplant; mayonnaise; black pudding; sardines; custard; dill; horseradish"""
)
DRINKS = _items(
    """oat flat white; earl grey; iced matcha; double espresso; mint tea; cold brew; chai latte; hot chocolate; ginger
    beer; rooibos tea; cortado; elderflower cordial; jasmine tea; mango lassi; kombucha; americano; tonic water;
    lapsang tea; pear cider; coconut water; tomato juice; macchiato; lemon verbena tea; root beer; bubble tea;
    alcohol-free lager; carrot juice; barley tea; ristretto; horchata"""
)
RESTAURANT_HEADS = _items(
    """Golden; Crooked; Silver; Laughing; Hungry; Velvet; Salty; Rusty; Lucky; Jolly; Hidden; Crimson; Wandering;
    Sleepy; Painted; Burning; Dancing; Quiet; Copper; Humble; Midnight; Smoky; Emerald; Twisted; Gentle"""
)
RESTAURANT_TAILS = _items(
    """Spoon; Lantern; Anchor; Pheasant; Olive; Kettle; Turnip; Crane; Barrel; Lobster; Fig; Goose; Ladle; Oyster;
    Hare; Skillet; Pear; Trout; Wheatsheaf; Magnolia"""
)
