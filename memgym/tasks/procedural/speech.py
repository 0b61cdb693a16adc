"""What surrounds a fact in a chatty turn, and whole turns of small talk that hold no fact."""

from __future__ import annotations

from random import Random

from memgym.tasks.procedural.grammar import expand, pick, shuffled

# {other} is the listener. A sentence of its own, before a fact or small talk:
REACTIONS: tuple[str, ...] = (
    "[Oh|Ah|Hm|Right|Okay|Ha|Well|Yes], "
    "[I see|fair enough|good point|got it|that makes sense|how about that][, {other}|].",
    "[Thanks|Thank you] for [asking|listening|telling me|sharing that|the update][, {other}|].",
    "[Interesting|Good to know|Noted|Understood|That's new to me|I had no idea][, {other}|][.|!]",
    "[I'll|I will] [remember that|keep that in mind|think about that][, {other}|].",
    "[Same old on my side|Not much has happened here|It has been a full week|Where do I even start][, really|].",
)
OPENERS: tuple[str, ...] = (
    "[Listen|Guess what|You know what|Before I forget|One more thing|Quick update|News from me][, {other}|][.|!|:]",
    "[You asked about news|You wanted an update|Let me tell you something|I owe you some news][, {other}|][.|:]",
    "[I keep meaning to tell you|I never got round to saying this|I don't think I told you this][.|:]",
    "[Funny you say that|Now that you mention it|Speaking of which|That reminds me][, {other}|][.|:]",
)
GREETINGS: tuple[str, ...] = (
    "[Hi|Hey|Hello][ there|] {other}[!|.] "
    "[Good to hear from you|It has been a while|Nice to catch up|Long time no chat][.|!]",
    "[Hi|Hey|Hello|Good to see you|Nice to talk again|Glad you called|So good to catch up][, {other}|][.|!]",
    "{other}, [there you are|at last|how nice to see you online|perfect timing][.|!]",
    "[Hi|Hey|Hello] {other}[.|!] [How have you been|How are things|How is life|Everything all right]?",
)
# In front of the fact, in the same sentence:
LEADS: tuple[str, ...] = (
    "[oh|ah|well|so|anyway|right|okay|yes|honestly|actually][, {other}|], ",
    "[by the way|to be honest|as it happens|to keep you posted|for what it's worth|in other news|on my side]"
    "[, {other}|], ",
    "[I should mention|I forgot to mention|I must tell you|I wanted to tell you|you may have heard] that ",
    "[I don't know if I said|I'm not sure I told you|I think I never mentioned it|I might have skipped this], but ",
)
# Behind the fact, in the same sentence:
TAGS: tuple[str, ...] = (
    ", [believe it or not|just so you know|in case I never said|if you can believe it|as you may know]",
    ", [of all things|no joke|no kidding|I kid you not|true story|for better or worse]",
    ", [which is fine by me|which suits everyone|which says a lot|and that's that|and nobody is surprised]",
    ", [funnily enough|strangely enough|oddly enough|sure enough|thankfully|as usual|for once]",
)
# A sentence of its own behind the fact:
TAILS: tuple[str, ...] = (
    "[It|That|All of it] [took some getting used to|still feels a bit unreal|makes me smile|keeps life interesting].",
    "[I could talk about it for hours|There is a long story behind that|I'll spare you the details"
    "|More on that another time].",
    "[Anyway|So yes|Well], [that's the news|that's how it is|there you have it|enough about that][, {other}|].",
    "[What about you|How about you|And you|And on your side|Anything new with you][, {other}|]?",
    "[What do you think|Does that surprise you|Can you imagine|Did you know that|Isn't that something][, {other}|]?",
    "[I thought you would like to know|I figured I'd tell you|I wanted you to hear it first|Keep it in mind]"
    "[, {other}|].",
    "[Nobody saw it coming|It was bound to happen|It is what it is|Everything else stays the same|We will see].",
    "[Tell me [your news|about your week|how you are]|Now your turn|Your turn][, {other}|].",
    "[Not a big deal|A small thing|A big deal for some|Quite a story], [I know|really|I suppose|I guess|in the end].",
)
# One sentence of small talk:
CHAT: tuple[str, ...] = (
    "[the weather|the sky] [has been|was] [lovely|grey|odd|dull|so changeable|hard to read] [lately|all week|again]",
    "it is [so|rather|really|terribly] [warm|cold|windy|humid|quiet|foggy|rainy] [today|out there|this week|outside]",
    "I [slept badly|barely slept|slept like a log|overslept|woke up far too early] "
    "[again|for no reason|and it shows|on the sofa]",
    "[the queue at the shop|the noise outside|the internet|the bus] was "
    "[awful|endless|a nightmare|hopeless] [today|again|as ever]",
    "how [is|was] your [day|week|morning|evening][| so far| over there][, {other}|]?",
    "what [are you up to|keeps you busy|is on your mind|brings you here] [today|this week|these days][, {other}|]?",
    "we [really |]should [talk|chat|catch up|do this] "
    "[more often|properly soon|over lunch one day|again soon][, {other}|]",
    "that [made me laugh|cheered me up|made my day|sounds about right|is good to hear|is so typical of you]"
    "[, {other}|]",
    "I'm [a bit|rather|so|really] [tired|sleepy|hungry|cheerful|restless|distracted] [today|right now|for no reason]",
    "[time flies|the week went by so fast|the month is almost over|the days just disappear]"
    "[, doesn't it feel that way|, as always|]",
    "I [laughed|smiled|giggled] about [that joke|your message|that picture|the story|your voice note] "
    "[all day|for an hour|for ages]",
    "you're [so kind|too kind|a good friend|a good listener|very patient] [to say that|as always|with me][, {other}|]",
    "let's [hope for the best|not overthink it|keep in touch|see what happens|stay positive]"
    "[, right|, shall we|, {other}|]",
    "[the news|social media|television|the radio] is [full of nonsense|so boring|too loud|a mess] [today|again|lately]",
    "[nothing|not much] [new|special|exciting] [to report|going on|happening] [here|on my end|so far|for a change]",
    "I can't [complain|believe how late it is|find anything today|stop yawning|sit still]"
    "[, to be honest|, really|, {other}|]",
    "[sending you|here comes] [a hug|a big smile|a bit of luck|a cookie][, {other}|, my friend|, just because|]",
    "[have|I wish you] a [lovely|great|calm|good] [rest of the day|evening|week|afternoon][, {other}|]",
    "this [coffee|tea|song|tune|biscuit] is [exactly what I needed|not helping|the best|a bit much]"
    "[| right now| today]",
    "some [days|people|things] are [just|simply|rather] "
    "[odd|nice|hard to explain|easier than others|full of surprises]",
    "[I hope|I trust|I'm sure] you are [well|fine|staying warm|getting some rest|taking it easy]"
    "[| over there][, {other}|]",
    "my [phone|laptop|umbrella|left shoe|alarm] "
    "[gave up on me|is acting up|had a will of its own|let me down] [today|again|as usual]",
    "[sorry for|excuse] the [late reply|typos|long silence|rambling|short answer]"
    "[, {other}|, it was one of those days|]",
    "[someone|a neighbour's child|a street musician|a very loud bird] "
    "[sang|made a racket] under my window [again|for an hour|at dawn]",
)


def chatter(rng: Random, other: str, *, short: bool, first: bool) -> str:
    """A turn without any fact."""
    words = {"other": other}
    patterns = shuffled(rng, CHAT)[: 1 if short else 2 + (rng.random() < 0.4)]
    parts = [_sentence(rng, expand(rng, pattern).format_map(words)) for pattern in patterns]
    if not short and (first or rng.random() < 0.6):
        parts.insert(0, expand(rng, pick(rng, GREETINGS if first else REACTIONS)).format_map(words))
    return " ".join(parts)


def dress(rng: Random, clause: str, other: str, *, short: bool, first: bool) -> str:
    """A turn around the clause that tells a fact; "short" leaves it bare."""
    if short:
        return f"{clause[0].upper()}{clause[1:]}."
    words = {"other": other}
    opener = tail = ""
    if first or rng.random() < 0.5:
        opener = expand(rng, pick(rng, GREETINGS if first else REACTIONS + OPENERS)).format_map(words) + " "
    if rng.random() < 0.4 and not _has_lead(clause):
        clause = expand(rng, pick(rng, LEADS)).format_map(words) + clause
    if rng.random() < 0.3:
        clause += expand(rng, pick(rng, TAGS))
    if rng.random() < 0.6:
        tail = " " + expand(rng, pick(rng, TAILS)).format_map(words)
    stop = "!" if rng.random() < 0.15 else "."
    return f"{opener}{clause[0].upper()}{clause[1:]}{stop}{tail}"


def _has_lead(clause: str) -> bool:
    """Whether the clause opens with words of its own ("as for my job, ...", "sorry, ...") that no other can precede."""
    return ": " in clause or ", " in clause[:40] or clause.startswith(("if ", "forget", "ignore", "scratch"))


def _sentence(rng: Random, text: str) -> str:
    """Capital letter and full stop, unless the text asks."""
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith('?') else pick(rng, ('.', '.', '!'))}"
