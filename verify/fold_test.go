package verify

import "testing"

func TestFold(t *testing.T) {
	const plain = "client-1s"
	for _, text := range []string{
		"client-1s", "CLIENT-1S", " client-1s\t", "client\u200b-1s", "cli\u00adent-1s", "client-1s\ufeff", "\u2060client-1s", "cli\u0301ent-1s", "cl\u00edent-1s",
		"\uff43lient-1s", "client-\uff11s", "client-1\u017f", "client-1s\u00a0", "client-1s\u3000", "client\U000e0041-1s", "client-1s\ufe0f", "client-1s\x00", "client\xff-1s",
	} {
		if got := Fold(text); got != plain {
			t.Errorf("%q folds to %q", text, got)
		}
	}
	for _, text := range []string{"client-2s", "client_1s", "client1s", "klient-1s", "", "client-1ss"} {
		if got := Fold(text); got == plain {
			t.Errorf("%q folds to %q", text, got)
		}
	}
	if again := Fold(Fold("\uff2b\u212a\u0130\u0131\u00df")); again != Fold("\uff2b\u212a\u0130\u0131\u00df") {
		t.Errorf("folding once more changes %q", again)
	}
}
