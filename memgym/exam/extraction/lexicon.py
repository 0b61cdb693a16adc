"""General English word lists of the extractive reader: closed classes, common verbs, words for the same thing."""

from __future__ import annotations

from functools import lru_cache

from memgym.exam.metrics import porter_stem


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DETERMINERS = _words("a an the this that these those some any each every another no all both")
POSSESSIVES = _words("my your his her its our their")
FIRST_PERSON = _words("i me my mine myself i'm i've i'd i'll we us our ours we're we've we'd we'll im ive")
SECOND_PERSON = _words("you your yours you're you've you'd you'll yourself")
THIRD_PERSON = _words(
    "he she him his her hers they them their theirs he's she's they're they've himself herself it it's its"
)
PRONOUNS = (
    FIRST_PERSON
    | SECOND_PERSON
    | THIRD_PERSON
    | _words("who whom whose which what that there here someone everyone one")
) - POSSESSIVES
AUXILIARIES = _words(
    """am is are was were be been being 's 're 'm do does did done have has had having will would shall should can could may
    might must ain't isn't aren't wasn't weren't don't doesn't didn't haven't hasn't hadn't won't wouldn't can't cannot
    couldn't shouldn't i'm i've i'd i'll we're we've we'd we'll you're you've you'd you'll he's she's it's they're they've
    that's there's here's who's what's let's 'll 've 'd"""
)
PREPOSITIONS = _words(
    """in at on to from for with by about into onto over under near around through after before since until during between
    among across behind beside inside outside against without within along off out of up down as like than per via towards
    toward beyond above below past despite"""
)
CONJUNCTIONS = _words(
    "and or but nor so because although though while when if unless whereas then plus whether yet where why how"
)
ADVERBS = _words(
    """not just really very so too also now currently still even only already always never often sometimes usually finally
    actually basically probably maybe perhaps recently lately again ever quite pretty almost nearly definitely totally
    absolutely anyway well oh hey hi hello wow yes yeah yep no nope ok okay sure thanks thank please back away together soon
    instead ago yesterday today tomorrow tonight currently nowadays anymore once twice honestly apparently officially
    originally previously formerly eventually mostly mainly especially super otherwise though yet here there far btw
    right guess speaking somewhere somehow enough earlier later most least best used more less else anyhow ah"""
)
NEGATIONS = _words(
    "not no never don't doesn't didn't isn't aren't wasn't weren't haven't hasn't hadn't can't cannot couldn't won't wouldn't nor neither without ain't"
)
NOT_ADVERBS = _words(
    "family fly belly jelly lily rely reply supply apply july bully ally italy holy ugly only early daily"
)
IDIOMS = (
    "in fact|of course|by the way|for sure|no joke|no kidding|to be honest|for now|at the moment|at least|in the end|"
    "at last|of all things|for once|for what it's worth|as usual|as you may know|as you know|you know|i mean|i guess|"
    "i think|i suppose|i know|in case|so far|right now|these days|for good|after all|at first|all in all|guess what|"
    "as well|long story short|for better or worse|true story|let me|kind of|sort of|a lot|a bit|at all|no wonder|in general|"
    "as it happens|in other news|on my side|fun fact|just so you know|believe it or not|any more|so to say"
)
GREETINGS = _words("hey hi hello thanks thank dear wow oh congrats congratulations yeah yes bye goodbye")
NUMBERS = _words(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million dozen couple once
    twice half"""
)

_IRREGULAR = {
    form: base
    for base, forms in {
        "be": "been being",
        "become": "became",
        "begin": "began begun",
        "break": "broke broken",
        "bring": "brought",
        "build": "built",
        "buy": "bought",
        "catch": "caught",
        "choose": "chose chosen",
        "come": "came",
        "drink": "drank drunk",
        "drive": "drove driven",
        "eat": "ate eaten",
        "fall": "fell fallen",
        "feel": "felt",
        "find": "found",
        "fly": "flew flown",
        "forget": "forgot forgotten",
        "get": "got gotten gets",
        "give": "gave given",
        "go": "went gone goes",
        "grow": "grew grown",
        "hear": "heard",
        "hide": "hid hidden",
        "hold": "held",
        "keep": "kept",
        "know": "knew known",
        "lead": "led",
        "leave": "left",
        "lend": "lent",
        "lose": "lost",
        "make": "made",
        "meet": "met",
        "pay": "paid",
        "ride": "rode ridden",
        "ring": "rang rung",
        "run": "ran",
        "say": "said",
        "see": "saw seen",
        "sell": "sold",
        "send": "sent",
        "sing": "sang sung",
        "sit": "sat",
        "sleep": "slept",
        "speak": "spoke spoken",
        "spend": "spent",
        "stand": "stood",
        "swim": "swam swum",
        "take": "took taken",
        "teach": "taught",
        "tell": "told",
        "think": "thought",
        "throw": "threw thrown",
        "wake": "woke woken",
        "wear": "wore worn",
        "win": "won",
        "write": "wrote written",
        "child": "children",
        "person": "people",
        "wife": "wives",
        "life": "lives_",
        "bear": "born",
    }.items()
    for form in forms.split()
}

IRREGULAR_FORMS = frozenset(_IRREGULAR)

_VERBS = """
accept ache adopt afford agree aim allow announce appear apply appreciate arrive ask attend avoid bake be bear beat become
begin believe belong book borrow break bring brew build buy call camp cancel care carry catch celebrate change chase check
choose chop clean climb close collect come commute compete complete consider cook cost cover crash create curl cut cycle
dance decide deliver describe destroy develop die dig dine discover dislike donate draw dream dress drink drive drop earn
eat employ end enjoy enrol enroll enter escape exercise expect explain explore fail fall fear feed feel fight fill find
finish fix fly focus follow forget freak gather get give go grab graduate grow handle hang happen hate have head hear help
hide hike hire hit hold hope host hug hurt imagine improve inspire invite join jog jump keep kick kiss know land last laugh
launch lead learn leave lend let lift like listen live look lose love make manage marry master mean meet mention miss move
name need notice offer open order organise organize own pack paint park pass pay perform pick plan plant play practice
practise prefer prepare present print promise promote propose publish pull purchase push put quit raise read realise realize
receive recommend record refuse register relax relocate remember remind rent repair replace rescue research rest retire
return ride ring run save say schedule see seem sell send serve set settle share shift shop show sign sing sit sketch ski
skip sleep smile snooze sort sound speak spend sprain stand start stay stick stop study suffer suggest support surprise
survive swap swear swim switch take talk taste teach tell terrify think throw train transfer travel treat try turn twist
understand unwind upgrade use visit volunteer vote wait wake walk want wash watch wear welcome win wish wonder work worry
write commute clean hear nap doze adore collect collaborate crave diagnose injure fracture misplace celebrate rehearse
"""

CONCEPTS = tuple(
    _words(group)
    for group in """
live move settle home house relocate reside residence town city neighbourhood neighborhood based place apartment flat
address street road live
work job employ employer profession occupation career position hire office earn living
work company employer firm business workplace employ office
study degree major university college graduate subject student
course class lesson workshop enrol enroll
pet dog puppy pup cat kitten kitty animal rescue hound
get adopt rescue bring
birthday born birth older
birthday celebrate
marry married wife husband spouse wed wedding fiance fiancee partner
sister brother sibling twin
mother mom mum mama mam
father dad papa daddy
kid child son daughter baby
grandmother grandma nana gran granny
grandfather grandpa granddad
favourite favorite prefer love enjoy fond adore best fan like
dislike hate stand avoid detest loathe
eat food meal dish dinner lunch breakfast cuisine restaurant dine recipe
cook prepare make bake serve dish dinner recipe
drink beverage coffee tea sip brew order
instrument play music musical practise practice
hobby pastime interest activity free spare weekend leisure
hobby take pick try into
exercise workout fitness gym train fit routine
travel trip visit vacation holiday journey fly tour abroad country destination tourist weekend drive head leave go city
holiday vacation summer spend
car vehicle drive wheel sedan saloon hatchback estate suv jeep van minivan truck pickup convertible coupe roadster motor
commute ride travel work transport vehicle get bus train tram ferry bike
buy purchase get order treat acquire new pick splurge
lose misplace miss leave forget lost disappear vanish
find turn
collect collection
break repair fix fault broken stop
injure hurt sprain twist break fracture strain pull bruise injury bang fall ache sore body
ill sick condition suffer diagnose health illness ailment trouble problem deal flare symptom
allergic allergy react intolerance
afraid fear scare terrify frighten phobia scared
sleep nap doze snooze curl bed
toy plaything
colour color paint repaint
name call
hate loathe detest stand dislike dreadful disgust
childhood grow raise born native originally home hometown
vet treat
concert live stage hear see band gig perform
clinic medical check test doctor
doctor physician gp
interview apply candidate
language speak learn fluent
book novel read author
band group listen concert gig
movie film watch
club team join member society
goal dream plan aim hope ambition want resolution intend
plan go will book future upcoming
party celebrate celebration host throw organise organize hold occasion event
exam test license licence certificate
present gift
save saving money aside fund budget afford
afraid fear fright frighten scare hide tremble
supplement vitamin pill tablet capsule mineral prescribe take health
appointment check doctor dentist checkup screening
hike trail walk climb trek
lucky luck charm talisman
start begin take
repair fix mend service technician
stop quit finish end give
meet introduce encounter
teach teacher instructor tutor coach
friend buddy pal mate
boss manager supervisor
colleague coworker
run race marathon
pay cost price spend
breed kind type sort
wake rise alarm morning
shift work start begin hour
bed asleep night turn
draw paint sketch art
perform performance show
game play
swim pool
cycle bike bicycle
""".strip().split("\n")
)

# What people ask for by a general word, and how the answer looks.
KINDS: dict[str, frozenset[str]] = {
    "colour": _words(
        """red blue green yellow orange purple pink brown black white grey gray teal navy burgundy turquoise maroon beige
        crimson ivory gold golden silver copper violet indigo lavender coral olive peach plum cream mustard terracotta"""
    ),
    "instrument": _words(
        """piano guitar violin cello flute drums drum saxophone clarinet trumpet trombone harp ukulele banjo oboe viola bass
        organ accordion keyboard harmonica recorder mandolin bassoon tuba sitar lute xylophone bagpipes horn"""
    ),
    "animal": _words(
        "dog cat puppy kitten rabbit hamster parrot bird fish horse turtle snake guinea pig lizard mouse rat pony"
    ),
    "month": _words("january february march april may june july august september october november december"),
    "weekday": _words("monday tuesday wednesday thursday friday saturday sunday"),
    "language": _words(
        """english spanish french german italian portuguese dutch swedish danish norwegian finnish russian polish czech
        greek turkish arabic hebrew hindi urdu mandarin chinese cantonese japanese korean vietnamese thai latin welsh irish
        gaelic swahili hungarian romanian icelandic catalan ukrainian persian bengali tamil"""
    ),
    "relative": _words(
        """mother mom mum father dad sister brother wife husband partner son daughter aunt uncle cousin grandmother grandma
        grandfather grandpa niece nephew friend boss colleague neighbour neighbor roommate girlfriend boyfriend fiance
        fiancee boss manager teacher coach twin parents kids children family mentor coworker"""
    ),
}
KIND_WORDS = {
    "color": "colour",
    "colour": "colour",
    "shade": "colour",
    "instrument": "instrument",
    "animal": "animal",
    "pet": "animal",
    "month": "month",
    "weekday": "weekday",
    "language": "language",
}

GENERIC = _words(
    """thing things lot lots bit time times way ways one ones something anything everything nothing someone everyone news
    stuff kind sort type day days week weeks month months year years weekend today idea while fun moment chance people
    guy guys place plenty chat talk nice great good bad best new fact deal end start part rest matter word question sure
    hope luck love course same different other own self everyone nothing anybody somebody everybody story deal piece
    favourite favorite usual main"""
)
LIGHT = _words(
    "do doing get go have make take be thing kind type sort say tell mention name call happen come use put let like want give much many usual usually most main currently moment"
)


@lru_cache(maxsize=65536)
def stem_of(word: str) -> str:
    """Porter stem of a lower-cased word, irregular forms first brought to their base."""
    return porter_stem(_IRREGULAR.get(word, word))


@lru_cache(maxsize=1)
def _concept_table() -> dict[str, frozenset[int]]:
    table: dict[str, set[int]] = {}
    for number, group in enumerate(CONCEPTS):
        for word in group:
            table.setdefault(stem_of(word), set()).add(number)
    return {stem: frozenset(numbers) for stem, numbers in table.items()}


@lru_cache(maxsize=1)
def verb_stems() -> frozenset[str]:
    """Stems of common verbs."""
    return frozenset(stem_of(verb) for verb in _VERBS.split())


def concepts_of(stem: str) -> frozenset[int]:
    """Numbers of the concept groups a stem belongs to; words of one group may stand for each other."""
    return _concept_table().get(stem, frozenset())
