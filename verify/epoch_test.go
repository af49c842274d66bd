package verify

import (
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// epoch is an hour before noon, skew included.
var epoch = Epoch{noon.Add(-time.Hour)}

// TestTokenOfBeforeTheEpoch: what was issued up to the epoch counts as used, and what does
// not say when for as long as it may live.
func TestTokenOfBeforeTheEpoch(t *testing.T) {
	at := epoch.Time
	for _, c := range []struct {
		name     string
		epoch    Epoch
		issued   time.Time
		lifetime time.Duration
		now      time.Time
		told     string // empty: accepted
	}{
		{"no epoch", Epoch{}, time.Time{}, 0, noon, ""},
		{"issued later", epoch, at.Add(time.Second), 0, noon, ""},
		{"issued at the epoch", epoch, at, 0, noon, "access token: issued at 2026-03-01T11:00:00Z, and may have registered before; get one that is issued after 2026-03-01T11:00:00Z"},
		{"issued long before", epoch, at.AddDate(-1, 0, 0), 0, noon, "access token: issued at 2025-03-01T11:00:00Z"},
		{"issued before, long after", epoch, at, 0, noon.AddDate(1, 0, 0), "access token: issued at"},
		{"without iat", epoch, time.Time{}, 0, noon, "access token: it does not say when it was issued, and may have registered before; such tokens are good again after 2026-03-02T11:00:00Z"},
		{"without iat, at the end", epoch, time.Time{}, 0, at.Add(24 * time.Hour), "such tokens are good again"},
		{"without iat, after it", epoch, time.Time{}, 0, at.Add(24*time.Hour + 1), ""},
		{"without iat, with a lifetime", epoch, time.Time{}, 10 * time.Minute, noon, ""},
		{"a clock that is ahead", epoch, noon.Add(DefaultSkew), 0, noon, ""},
		{"issued in the future", epoch, noon.Add(DefaultSkew + time.Second), 0, noon, "access token: issued at 2026-03-01T12:01:01Z, which is yet to come, and may have registered before; the clock of the authorization server is ahead, such tokens are good again after 2026-03-02T11:00:00Z"},
		{"issued in the future, within the epoch", Epoch{noon.Add(DefaultSkew)}, noon.AddDate(1, 0, 0), time.Hour, noon, "such tokens are good again after 2026-03-01T13:01:00Z"},
		{"issued in the future, long after", epoch, noon.AddDate(2, 0, 0), 0, at.Add(24*time.Hour + 1), ""},
		{"issued in the future, without an epoch", Epoch{}, noon.AddDate(2, 0, 0), 0, noon, ""},
		{"without iat, within a lifetime", epoch, time.Time{}, time.Hour, noon, "such tokens are good again after 2026-03-01T12:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := (&AccessToken{Raw: "t", Issued: c.issued}).CheckEpoch(c.epoch, c.lifetime, c.now)
			if c.told == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefusal(t, err, refusal.InvalidToken, c.told)
			if rule := refusal.From(err).RuleName(); rule != EpochRule {
				t.Errorf("rule %s", rule)
			}
		})
	}
}

func TestAccessTokenIssued(t *testing.T) {
	for text, want := range map[string]time.Time{
		`{"iat":1000}`: time.Unix(1000, 0), `{}`: {}, `{"iat":null}`: {}, `{"iat":"1000"}`: {}, `{"iat":0}`: time.Unix(0, 0),
		`{"iat":1000.5}`: time.Unix(1000, 0), `{"iat":1000.999999999999999999999}`: time.Unix(1000, 0), `{"iat":0.1}`: time.Unix(0, 0),
		`{"iat":1e3}`: time.Unix(1000, 0), `{"iat":1.0005e3}`: time.Unix(1000, 0), `{"iat":1.0E3}`: time.Unix(1000, 0), `{"iat":1e-9}`: time.Unix(0, 0), `{"iat":-0.5}`: {}, `{"iat":-1000.5}`: {}, `{"iat":"1000.5"}`: {}, `{"iat":[1000.5]}`: {},
		`{"iat":99999999999999999999.5}`: {},
	} {
		claims, err := strictjson.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if a, err := ReadAccessToken("t", claims); err != nil || !a.Issued.Equal(want) {
			t.Errorf("%s: %v, %v; want it issued at %v", text, a, err, want)
		}
	}
}

// TestRequestOfBeforeTheEpoch: also one that has never been sent, because nobody knows.
func TestRequestOfBeforeTheEpoch(t *testing.T) {
	verified := func(iat any, change func(*RequestRules)) error {
		t.Helper()
		r := rules(t)
		r.Epoch = epoch
		change(r)
		raw := registration(t, with(requestClaims, "iat", iat), ssaClaims)
		if r.Unsigned {
			raw = []byte(jsonOf(with(requestClaims, "iat", iat, "software_statement", statement(t, ssaClaims))))
		}
		_, err := VerifyRequest(t.Context(), raw, r, noon)
		return err
	}
	signed, unsigned := func(*RequestRules) {}, func(r *RequestRules) { r.Unsigned = true }
	for name, change := range map[string]func(*RequestRules){"signed": signed, "unsigned": unsigned} {
		err := verified(epoch.Unix(), change)
		wantRefusal(t, err, refusal.InvalidClientMetadata, "iat: "+stamp(epoch.Time)+", and the request may have been sent before; sign a new one after "+stamp(epoch.Time))
		if rule := refusal.From(err).RuleName(); rule != EpochRule {
			t.Errorf("%s: rule %s", name, rule)
		}
		if err := verified(epoch.Unix()+1, change); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := verified(absent{}, func(r *RequestRules) { r.Unsigned, r.Epoch = true, Epoch{noon.Add(time.Minute)} }); err != nil {
		t.Errorf("unsigned, which nothing ties to a time: %v", err)
	}
}

func TestAssertionOfBeforeTheEpoch(t *testing.T) {
	verified := func(iat any, at time.Time) error {
		t.Helper()
		r := assertionRules(t)
		r.Epoch = epoch
		_, err := assertion(t, assertionHeader, with(assertionClaims, "iat", iat, "exp", at.Unix()+60)).VerifyClientAssertion(t.Context(), r, at)
		return err
	}
	wantRefusal(t, verified(epoch.Unix(), noon), refusal.InvalidClient, "client_assertion has iat "+stamp(epoch.Time)+", and may have been used before; sign a new one after "+stamp(epoch.Time))
	if err := verified(epoch.Unix()+1, noon); err != nil {
		t.Error(err)
	}
	wantRefusal(t, verified(absent{}, noon), refusal.InvalidClient, "client_assertion has no iat, and may have been used before; sign one with iat after "+stamp(epoch.Time))
	if err := verified(absent{}, noon.Add(time.Second)); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}
