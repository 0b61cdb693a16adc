"""General English word lists of the extractive reader: closed classes, common verbs, words for the same thing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from memgym.exam.metrics import porter_stem


def words(text: str) -> frozenset[str]:
    """The blank-separated words of a text."""
    return frozenset(text.split())


# --- closed classes ---

DETERMINERS = words("a an the this that these those some any each every another no all both")
POSSESSIVES = words("my your his her its our their")
FIRST_PERSON = words("i me my mine myself i'm i've i'd i'll we us our ours we're we've we'd we'll im ive")
SECOND_PERSON = words("you your yours you're you've you'd you'll yourself")
HE_OR_SHE = words("he him his himself she her hers herself he's she's")
PRONOUNS = (
    FIRST_PERSON
    | SECOND_PERSON
    | HE_OR_SHE
    | words("they them their theirs they're they've it it's its who whom whose which what that there here one")
    | words("someone somebody everyone everybody anyone anybody nobody")
) - POSSESSIVES
AUXILIARIES = words(
    """am is are was were be been being 's 're 'm do does did done have has had having will would shall should can
    could may might must ain't isn't aren't wasn't weren't don't doesn't didn't haven't hasn't hadn't won't wouldn't
    can't cannot couldn't shouldn't i'm i've i'd i'll we're we've we'd we'll you're you've you'd you'll he's she's
    it's they're they've that's there's here's who's what's let's 'll 've 'd"""
)
COPULAS = words(
    "am is was are were be become became becoming been being 's 're 'm i'm it's that's he's she's named called"
)
PREPOSITIONS = words(
    """in at on to from for with by about into onto over under near around through after before since until during
    between among across behind beside inside outside against without within along off out of up down as like than
    per via towards toward beyond above below past despite"""
)
CONJUNCTIONS = words(
    "and or but nor so because although though while when if unless whereas then plus whether yet where why how"
)
ADVERBS = words(
    """not just really very so too also now currently still even only already always never often sometimes usually
    finally actually basically probably maybe perhaps recently lately again ever quite pretty almost nearly
    definitely totally absolutely anyway well oh ah hey hi hello wow yes yeah yep no nope ok okay sure thanks thank
    please back away together soon instead ago yesterday today tomorrow tonight nowadays anymore once twice honestly
    apparently officially mostly mainly super otherwise though yet here there far btw right guess speaking somewhere
    somehow longer enough earlier later most least used more less else anyhow"""
)
LY_NOUNS = words("family fly belly jelly lily rely reply supply apply july bully ally italy holy ugly daily")
NEGATIONS = words(
    """not no never don't doesn't didn't isn't aren't wasn't weren't haven't hasn't hadn't can't cannot couldn't
    won't wouldn't nor neither without ain't"""
)
GREETINGS = words("hey hi hello thanks thank dear wow oh congrats congratulations yeah yes bye goodbye")
NUMBERS = words(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million dozen
    couple half"""
)
IDIOMS = (
    "in fact|of course|by the way|for sure|no joke|no kidding|to be honest|for now|at the moment|at least|in the end|"
    "at last|of all things|for once|for what it's worth|as usual|as you may know|as you know|you know|i mean|i guess|"
    "i think|i suppose|i know|in case|so far|right now|these days|for good|after all|at first|all in all|guess what|"
    "as well|long story short|for better or worse|true story|let me|kind of|sort of|a lot|a bit|at all|no wonder|"
    "in general|as it happens|in other news|on my side|fun fact|just so you know|believe it or not|any more|so to say|"
    "for the record|at present|first of all|one thing to know|small detail|just a note"
)

# --- verbs ---

_IRREGULAR = {
    form: base
    for base, forms in {
        **{"be": "been being", "become": "became", "begin": "began begun", "break": "broke broken", "bring": "brought"},
        **{"build": "built", "buy": "bought", "catch": "caught", "choose": "chose chosen", "come": "came"},
        **{"drink": "drank drunk", "drive": "drove driven", "eat": "ate eaten", "fall": "fell fallen", "feel": "felt"},
        **{
            "find": "found",
            "fly": "flew flown",
            "forget": "forgot forgotten",
            "get": "got gotten gets",
            "give": "gave",
        },
        **{"go": "went gone goes", "grow": "grew grown", "hear": "heard", "hide": "hid hidden", "hold": "held"},
        **{"keep": "kept", "know": "knew known", "lead": "led", "leave": "left", "lend": "lent", "lose": "lost"},
        **{"make": "made", "meet": "met", "pay": "paid", "ride": "rode ridden", "ring": "rang rung", "run": "ran"},
        **{"say": "said", "see": "saw seen", "sell": "sold", "send": "sent", "sing": "sang sung", "sit": "sat"},
        **{"sleep": "slept", "speak": "spoke spoken", "spend": "spent", "stand": "stood", "swim": "swam swum"},
        **{
            "take": "took taken",
            "overtake": "overtook overtaken",
            "teach": "taught",
            "tell": "told",
            "think": "thought",
            "throw": "threw thrown",
        },
        **{"wake": "woke woken", "wear": "wore worn", "win": "won", "write": "wrote written", "bear": "born"},
        **{"child": "children", "person": "people", "wife": "wives", "given": "given"},
    }.items()
    for form in forms.split()
}
IRREGULAR_FORMS = frozenset(_IRREGULAR)

_VERBS = words(
    """accept ache adopt afford agree aim allow announce appear apply appreciate arrive ask attend avoid bake be bear
    beat become begin believe belong book borrow break bring brew build buy call camp cancel care carry catch
    celebrate change chase check choose chop clean climb close collect come commute compete complete consider cook
    cost cover crash create curl cut cycle dance decide deliver describe destroy develop die dig dine discover
    dislike donate draw dream dress drink drive drop earn eat employ end enjoy enrol enroll enter escape exercise
    expect explain explore fail fall fear feed feel fight fill find finish fix fly focus follow forget freak gather
    get give go grab graduate grow handle hang happen hate have head hear help hide hike hire hit hold hope host hug
    hurt imagine improve inspire invite join jog jump keep kick kiss know land last laugh launch lead learn leave
    lend let lift like listen live look lose love make manage marry master mean meet mention miss move name need
    notice offer open order organise organize own pack paint park pass pay perform pick plan plant play practice
    practise prefer prepare present print promise promote propose publish pull purchase push put quit raise read
    realise realize receive recommend record refuse register relax relocate remember remind rent repair replace
    rescue research rest retire return ride ring run save say schedule see seem sell send serve set settle share
    shift shop show sign sing sit sketch ski skip sleep smile snooze sort sound speak spend sprain stand start stay
    stick stop study suffer suggest support surprise survive swap swear swim switch take talk taste teach tell
    terrify think throw train transfer travel treat try turn twist understand unwind upgrade use visit volunteer vote
    wait wake walk want wash watch wear welcome win wish wonder work worry write nap doze adore collaborate crave
    diagnose injure fracture misplace rehearse"""
)

PERSON_VERBS = words(
    "tell give prescribe ask show call teach treat help meet send offer interview hire marry thank invite"
)

# --- words for the same thing: one group a line, a word may be in several ---

CONCEPTS = tuple(
    words(group)
    for group in """
    live move settle home house relocate reside residence town city neighbourhood neighborhood based place road
    live apartment flat address street delivery house home rent lease
    work job employ employer profession occupation career position hire office earn living company firm business
    work shift start begin hour clock
    study diploma degree major university college graduate subject student
    train training workshop course class lesson seminar enrol enroll
    learn lesson language speak fluent practise practice
    pet dog puppy pup cat kitten kitty animal rescue hound adopt
    get adopt rescue bring
    birthday bear birth older celebrate
    marry wife husband spouse wed wedding fiance fiancee partner
    sister brother sibling twin
    mother mom mum mama mam
    father dad papa daddy
    kid child son daughter baby
    grandmother grandma nana gran granny
    grandfather grandpa granddad
    favourite favorite prefer love enjoy fond adore best fan like choose
    dislike hate stand avoid detest loathe dreadful disgust
    eat food meal dish dinner lunch breakfast cuisine recipe
    cook prepare make bake serve dish dinner recipe
    restaurant dine cuisine
    drink beverage coffee tea sip brew order
    instrument play music musical practise practice
    hobby pastime interest activity free spare weekend leisure crazy passionate keen hook
    hobby take pick try
    exercise workout fitness fit gym train routine
    travel trip visit vacation holiday journey fly tour abroad country destination tourist weekend drive head leave city
    holiday vacation summer
    car garage park vehicle drive wheel sedan saloon hatchback estate suv jeep van minivan truck pickup motor
    commute ride travel transport vehicle bus train tram ferry bike work
    buy purchase get order treat acquire new pick splurge shop
    lose misplace miss leave forget disappear vanish
    find turn
    collect collection
    break repair fix fault stop mend service technician
    injure hurt sprain twist break fracture strain pull bruise injury bang fall ache sore body
    ill sick condition suffer diagnose health illness ailment trouble problem symptom
    allergic allergy react intolerance
    afraid fear fright frighten scare terrify phobia hide tremble
    sleep nap doze snooze curl bed snore asleep night
    toy plaything
    colour color paint repaint
    name call
    book novel read author
    band group listen concert gig live stage hear see perform
    movie film watch
    club team join member society belong
    goal dream plan aim hope ambition want resolution intend
    plan go will book future upcoming
    party celebrate celebration host throw organise organize hold occasion event family
    exam test license licence certificate
    present gift
    save saving money aside fund budget afford
    supplement vitamin pill tablet capsule mineral prescribe take health
    appointment check doctor dr. dentist checkup screening physician clinic medical vet treat test
    hike trail walk climb trek
    lucky luck charm talisman
    start begin take
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
    draw paint sketch art
    perform performance show
    game play
    swim pool
    cycle bike bicycle
    childhood grow raise bear native originally home hometown
    interview apply candidate
    """.strip().splitlines()
)

# --- what people ask for by a general word, and how the answer looks ---

KINDS: dict[str, frozenset[str]] = {
    "colour": words(
        """red blue green yellow orange purple pink brown black white grey gray teal navy burgundy turquoise maroon
        beige crimson ivory gold golden silver copper violet indigo lavender coral olive peach plum cream mustard"""
    ),
    "instrument": words(
        """piano guitar violin cello flute drums drum saxophone clarinet trumpet trombone harp ukulele banjo oboe viola
        bass organ accordion keyboard harmonica recorder mandolin bassoon tuba sitar lute xylophone bagpipes horn"""
    ),
    "animal": words(
        "dog cat puppy kitten rabbit hamster parrot bird fish horse turtle tortoise snake lizard mouse pony"
    ),
    "month": words("january february march april may june july august september october november december"),
    "weekday": words("monday tuesday wednesday thursday friday saturday sunday"),
    "language": words(
        """english spanish french german italian portuguese dutch swedish danish norwegian finnish russian polish czech
        greek turkish arabic hebrew hindi urdu mandarin chinese cantonese japanese korean vietnamese thai latin welsh
        irish gaelic swahili hungarian romanian icelandic catalan ukrainian persian bengali tamil"""
    ),
    "relative": words(
        """mother mom mum father dad sister brother wife husband partner son daughter aunt uncle cousin grandmother
        grandma grandfather grandpa niece nephew friend boss colleague neighbour neighbor roommate girlfriend boyfriend
        fiance fiancee manager teacher coach twin parents kids children family mentor coworker"""
    ),
}
KIND_WORDS = {
    **{"color": "colour", "colour": "colour", "shade": "colour", "instrument": "instrument", "animal": "animal"},
    **{"pet": "animal", "month": "month", "weekday": "weekday", "language": "language"},
    **{"job": "job", "profession": "job", "occupation": "job", "career": "job"},
}
PLACE_NOUNS = words(
    """place town city village country address location hometown street neighbourhood neighborhood destination region
    state"""
)
_PERSON_NOUN = re.compile(
    r"(?:er|or|ist|ian|smith|mate|lady|lord|pal|nurse|guide|clerk|pilot|captain|chef|cook|analyst|midwife|actuary|companion|"
    r"actress|assistant|agent|vet|accountant|attendant|consultant|author|coach|judge|priest|mechanic|barista|trainee)$"
)
_NO_PERSON = words(
    """member number summer winter water paper power letter dinner corner matter folder border offer order answer
    water computer river colour color"""
)

GENERIC = words(
    """thing things lot lots bit time times way ways one ones something anything everything nothing someone everyone
    anybody somebody everybody news stuff kind sort type day days week weeks month months year years weekend today
    idea while fun moment chance people guy guys place plenty chat talk nice great good bad best new fact deal end
    start part rest matter word question sure hope luck love course same different other own self story piece
    favourite favorite usual main home answer round mistake truth name"""
)
LIGHT = words(
    """do doing get go have make take be thing kind type sort say tell mention name call happen come use put let like
    want give much many usual usually most main currently moment time keep belong place stay"""
)


def names_person(word: str) -> bool:
    """Whether a lower-case noun is likely a kind of person: a relative, a friend, a trade."""
    if word in KINDS["relative"]:
        return True
    return len(word) > 4 and word not in _NO_PERSON and _PERSON_NOUN.search(word) is not None


def belongs(lowered: Iterable[str], kind: str) -> bool:
    """Whether one of some lower-case words is a colour, an instrument, a job, ... (a key of ``KINDS``, or "job")."""
    if kind == "job":
        return any(map(names_person, lowered))
    return not KINDS[kind].isdisjoint(lowered)


# --- stems ---


@lru_cache(maxsize=65536)
def stem_of(word: str) -> str:
    """Porter stem of a lower-case word, irregular forms first brought to their base."""
    return porter_stem(_IRREGULAR.get(word, word))


@lru_cache(maxsize=64)
def stems_of(group: frozenset[str]) -> frozenset[str]:
    """Stems of a word list."""
    return frozenset(map(stem_of, group))


def is_verb(word: str) -> bool:
    """Whether a lower-case word is a form of a common verb."""
    return stem_of(word) in stems_of(_VERBS)


@lru_cache(maxsize=1)
def _concept_table() -> dict[str, frozenset[int]]:
    table: dict[str, set[int]] = {}
    for number, group in enumerate(CONCEPTS):
        for word in group:
            table.setdefault(stem_of(word), set()).add(number)
    return {stem: frozenset(numbers) for stem, numbers in table.items()}


def concepts_of(stem: str) -> frozenset[int]:
    """Numbers of the concept groups a stem belongs to; words of one group may stand for each other."""
    return _concept_table().get(stem, frozenset())
