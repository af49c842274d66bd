package verify

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestCheckShownURI(t *testing.T) {
	for _, tc := range []struct{ uri, word string }{
		{"https://tpp.example/logo.png", ""}, {"https://TPP.example:8443/a/b?size=2&lang=en#top", ""}, {"https://tpp.example.", ""},
		{"", "is not an absolute URI"}, {"/logo.png", "is not an absolute URI"}, {"http://tpp.example/", "does not use https"},
		{"javascript:alert(1)", "is not an absolute URI"}, {"data:text/html,x", "is not an absolute URI"}, {"JaVaScRiPt://tpp.example/%0aalert(1)", "does not use https"},
		{"https://user@tpp.example/", "has user information"}, {"https://a:b@tpp.example/", "has user information"},
		{"https://127.0.0.1/", "has an IP address"}, {"https://[::1]/", "has an IP address"}, {"https://169.254.169.254/latest/meta-data", "has an IP address"},
		{"https://0x7f.1/", "has an IP address"}, {"https://2130706433/", "has an IP address"}, {"https://8.8.8.8/", "has an IP address"},
		{"https://localhost/", "points to localhost"}, {"https://a.localhost:8443/", "points to localhost"}, {"https://LOCALHOST./", "points to localhost"},
		{"https://intranet/", "has a host that is not in the public DNS"}, {"https://printer.local/", "has a host that is not in the public DNS"},
		{"https://as.internal/", "has a host that is not in the public DNS"}, {"https://as.INTERNAL./", "has a host that is not in the public DNS"},
		{"https://a.home.arpa/", "has a host that is not in the public DNS"}, {"https://1.0.0.127.in-addr.arpa/", "has a host that is not in the public DNS"},
		{"https://tpp.test/", "has a host that is not in the public DNS"}, {"https://tpp.invalid/", "has a host that is not in the public DNS"}, {"https://tpp.onion/", "has a host that is not in the public DNS"},
		{"https://api.default.svc/", "has a host that is not in the public DNS"}, {"https://bank.corp/", "has a host that is not in the public DNS"}, {"https://xn--.lan/", "has a host that is not in the public DNS"},
		{`https://tpp.example/"onerror=alert(1)`, "has a character"}, {"https://tpp.example/<script>", "has a character"}, {"https://tpp.example/`", "has a character"},
		{"https://tpp.example/'onload='x", "has markup"}, {"https://tpp.example/&quot;x", "has markup"}, {"https://tpp.example/&#34", "has markup"}, {"https://tpp.example/&lt", "has markup"}, {"https://tpp.example/?a=1&#x22;b", "has markup"},
		{"https://tpp.example/#'x", "has markup"}, {"https://tpp.example/#<b>", "has markup"}, {"https://tpp.example/#a b", "has a fragment"},
		{"https://tpp.example/\u202egpj", "has a character"}, {"https://tpp.example/#\u202egpj", "has a fragment"}, {"https://tpp.example/a\nb", "has a character"}, {"https://tpp.example/a b", "has a character"},
		{"https://t\u0440p.example/", "has a character"}, {"https://tpp.example/" + strings.Repeat("x", maxURI), "is longer than 256"}, {"https://tpp.example/#" + strings.Repeat("x", maxURI), "is longer than 256"},
	} {
		t.Run(tc.uri[:min(len(tc.uri), 50)], func(t *testing.T) { wantText(t, CheckShownURI(tc.uri), tc.word) })
	}
}

func TestShownName(t *testing.T) {
	for name, want := range map[string]string{
		"Example TPP": "Example TPP", `Acme "Pay" & Söhne`: `Acme "Pay" & Söhne`, "O'Brien's AT&T": "O'Brien's AT&T", "株式会社テスト": "株式会社テスト",
		"<script>alert(1)</script>": "scriptalert(1)/script", "Acme<img src=x onerror=y>": "Acmeimg src=x onerror=y", "a&lt;b&#62;&#x3c;": "alt;b#62;#x3c;",
		"Acme\r\nBank": "Acme Bank", "Acme\x00\x1b[31m": "Acme[31m", "A\u2028B": "A B", "  Acme \t Ltd ": "Acme Ltd",
		"\u202eknaB emcA": "knaB emcA", "Ac\u200bme\ufeff": "Acme", "\u2066Bank\u2069": "Bank", "Acme\xff": "Acme", "Acme\U000e0041": "Acme",
		"Acme\u034f\ufe0f": "Acme", "\u3164": "software", "\u115f\u1160\uffa0": "software", "&#60script": "#60script", "&lt b": "lt b", "&ltb": "ltb",
		"": "software", "<>": "software", "\u202e \u200b": "software", "---": "software",
		strings.Repeat("é", 200): strings.Repeat("é", 128), strings.Repeat("x", 255) + "é": strings.Repeat("x", 255), strings.Repeat("x", 255) + " yy": strings.Repeat("x", 255),
	} {
		if got := ShownName(name, "software"); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// FuzzShownName: whatever the name, what is shown is short, visible, and without tags.
func FuzzShownName(f *testing.F) {
	for _, s := range []string{"Example TPP", "<b>", "&lt;", "&&lt;lt;", "\u202e", "a\x00", "\xff", strings.Repeat("é", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := ShownName(name, "otherwise")
		if got == "" || len(got) > maxClientName || !utf8.ValidString(got) || strings.ContainsAny(got, "<>") || charReference.MatchString(got) ||
			strings.ContainsFunc(got, func(r rune) bool { return unicode.In(r, unicode.C) }) {
			t.Errorf("%q: %q, want a short text without markup and control characters", name, got)
		}
		if again := ShownName(got, "otherwise"); again != got {
			t.Errorf("%q, and of that %q", got, again)
		}
	})
}
