import shutil
import sys
import wave

import pytest

from progresshub.jobs import languages
from progresshub.jobs.film import speech
from progresshub.jobs.film.failures import Unfit
from progresshub.jobs.film.sound import clip, combine
from progresshub.jobs.film.timeline import Passage, Sentence

ENGLISH, GERMAN = (one for one in languages.LANGUAGES if one.name in ("english", "german"))
PIPER = f"""#!{sys.executable}
import sys, wave
with wave.open(sys.argv[sys.argv.index("-f") + 1], "wb") as sound:
    sound.setparams((1, 2, 16_000, 0, "NONE", ""))
    sound.writeframes(bytes(2 * 160 * len(sys.stdin.read())))
"""


@pytest.fixture
def espeak():
    if not shutil.which("espeak-ng"):
        pytest.skip("espeak-ng is not installed, so nothing can be said")


@pytest.fixture
def piper(tmp_path, monkeypatch):
    """A program that is used as piper is, and writes a hundredth of a second of silence for each character."""
    path = tmp_path / "bin" / "piper"
    path.parent.mkdir()
    path.write_text(PIPER)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent), prepend=":")


@pytest.mark.usefixtures("espeak")
@pytest.mark.parametrize("language", languages.LANGUAGES, ids=lambda language: language.name)
def test_every_language_has_a_voice(language):
    assert speech.choose(language, None, (), 160).name == language.voice


@pytest.mark.usefixtures("espeak")
def test_a_sentence_becomes_sound_and_a_longer_one_more(tmp_path):
    voice = speech.choose(ENGLISH, None, (), 160)

    voice.say("Tea.", tmp_path / "a.wav")
    voice.say("Tea is made of leaves, and hot water is poured on them.", tmp_path / "b.wav")

    assert 0.2 < clip(tmp_path / "a.wav").duration_s < clip(tmp_path / "b.wav").duration_s < 10


@pytest.mark.usefixtures("espeak")
@pytest.mark.parametrize("text", ["-v", "--stdout", "<speak>&amp;</speak>", "[[x]]", "a\x00b", "\ud83d\ude00 tea"])
def test_nothing_in_a_sentence_is_an_order(text, tmp_path):
    speech.choose(ENGLISH, None, (), 160).say(text.encode("utf-16", "surrogatepass").decode("utf-16"), tmp_path / "a")

    assert clip(tmp_path / "a").duration_s > 0.05


@pytest.mark.usefixtures("espeak")
@pytest.mark.parametrize("text", ["🎉", "…", "— ∑ →", ""])
def test_what_has_no_sound_is_a_silence(text, tmp_path):
    speech.choose(ENGLISH, None, (), 160).say(text, tmp_path / "a.wav")

    said = clip(tmp_path / "a.wav")
    assert (said.path, said.duration_s) == (None, 1.0)


@pytest.mark.usefixtures("espeak")
def test_a_variant_is_added_to_the_voice_of_the_language():
    assert speech.choose(GERMAN, "+f3", (), 160).name == "de+f3"


@pytest.mark.usefixtures("espeak")
def test_a_sentence_in_another_script_is_read_and_not_spelt(tmp_path):
    voice = speech.choose(ENGLISH, "+f3", (), 160)
    arabic = voice.of(languages.of_text("كيف يُصنع الشاي", ENGLISH))

    voice.say("كيف يُصنع الشاي", tmp_path / "spelt.wav")
    arabic.say("كيف يُصنع الشاي", tmp_path / "read.wav")

    assert (voice.name, arabic.name) == ("en-us+f3", "ar+f3")
    assert clip(tmp_path / "read.wav").duration_s < clip(tmp_path / "spelt.wav").duration_s / 3


@pytest.mark.usefixtures("piper")
def test_pipers_voice_speaks_for_all_of_a_film():
    voice = speech.choose(ENGLISH, None, ("/srv/en_US-amy-medium.onnx",), 160)

    assert voice.of(GERMAN) == voice


@pytest.mark.usefixtures("espeak")
def test_a_voice_that_nobody_has_is_refused_with_those_there_are():
    with pytest.raises(Unfit, match=r"no voice nobody: .* en_US-amy-medium"):
        speech.choose(ENGLISH, "nobody", ("/srv/en_US-amy-medium.onnx",), 160)


@pytest.mark.usefixtures("piper")
def test_piper_speaks_the_languages_it_has_models_for(tmp_path):
    models = ("/srv/de_DE-eva-low.onnx", "/srv/en_GB-alan-low.onnx", "/srv/en_US-amy-medium.onnx")

    voice = speech.choose(ENGLISH, None, models, 160)
    voice.say("0123456789", tmp_path / "a.wav")

    assert voice == speech.Voice("en_GB-alan-low", ("piper", "-m", models[1], "-f"))
    assert clip(tmp_path / "a.wav").duration_s == pytest.approx(0.1)
    assert speech.choose(ENGLISH, "en_US-amy-medium", models, 160).name == "en_US-amy-medium"


@pytest.mark.usefixtures("piper")
def test_without_a_voice_for_a_language_it_is_said_what_is_missing(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "espeak-ng" else name)

    with pytest.raises(Unfit, match="nothing here speaks german: install espeak-ng"):
        speech.choose(GERMAN, None, ("/srv/en_US-amy-medium.onnx",), 160)


@pytest.mark.usefixtures("piper")
def test_a_track_has_each_sentence_at_its_time(tmp_path):
    voice = speech.choose(ENGLISH, None, ("/srv/en_US-amy-medium.onnx",), 160)
    voice.say("0123456789", tmp_path / "a.wav")
    passages = [Passage(0, 2, (Sentence("", 0, 0.5, 0.6),)), Passage(2, 3.5, (Sentence("", 0, 2.4, 3.4),))]
    clips = {(0, 0): clip(tmp_path / "a.wav"), (1, 0): clip(tmp_path / "none.wav")}

    combine(tmp_path / "track.wav", passages, clips)

    with wave.open(str(tmp_path / "track.wav")) as track:
        assert (track.getframerate(), track.getnframes()) == (16_000, 56_000)
