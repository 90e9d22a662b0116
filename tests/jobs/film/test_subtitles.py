from progresshub.jobs.film import subtitles
from progresshub.jobs.film.timeline import Passage, Sentence


def one(text, start_s=0.0, end_s=4.0):
    return [Passage(start_s, end_s, (Sentence(text, 0, start_s, end_s),))]


def test_a_sentence_is_a_cue():
    cues = subtitles.cues(one("Tea is hot.", 3661.5, 3663.25))

    assert subtitles.vtt(cues) == "WEBVTT\n\n01:01:01.500 --> 01:01:03.250\nTea is hot.\n"
    assert subtitles.srt(cues) == "1\n01:01:01,500 --> 01:01:03,250\nTea is hot.\n"


def test_a_long_one_is_several_of_two_lines_that_share_its_time():
    cues = subtitles.cues(one("seven letters " * 20))

    assert len(cues) > 2
    assert all(len(line) <= 42 for cue in cues for line in cue.text.split("\n"))
    assert all(cue.text.count("\n") <= 1 for cue in cues)
    assert (cues[0].start_s, cues[-1].end_s) == (0.0, 4.0)
    assert [cue.start_s for cue in cues[1:]] == [cue.end_s for cue in cues[:-1]]


def test_wide_characters_fill_a_line_sooner():
    cues = subtitles.cues(one("茶" * 30))

    assert [len(line) for cue in cues for line in cue.text.split("\n")] == [20, 10]


def test_what_would_be_markup_is_text():
    assert "a &lt;b&gt; --&gt; &amp;" in subtitles.vtt(subtitles.cues(one("a <b> --> &")))


def test_chapters_are_the_slides_and_can_not_break_out_of_their_lines():
    told = subtitles.chapters("a=b;c", one("x", 0.0, 2.5), ["[CHAPTER]\n#\\"])

    assert told == (
        ";FFMETADATA1\ntitle=a\\=b\\;c\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=2500\ntitle=[CHAPTER]\\\n\\#\\\\\n"
    )
