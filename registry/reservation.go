package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// reservation makes one thing single-use: a registration token, or the jti of a
// request. It is taken before the AS is called, made final with the change, and
// given back when the change is refused, so that a refusal burns nothing.
type reservation struct {
	key    string
	holder string
	// fresh: not even the holder may have used it up before.
	fresh bool
	// token tells a token from other things.
	token bool
	// expires is when the thing itself ends; zero when it never does.
	expires time.Time
	// used makes the refusal, which nearly no request needs.
	used func() *refusal.Error
}

func errTokenUsed() *refusal.Error {
	return refusal.New(refusal.InvalidToken, "access_token", "access token: it has registered a client before; get a new one")
}

func errRequestUsed() *refusal.Error {
	return refusal.New(refusal.InvalidClientMetadata, "jti", "jti: this request was sent before; sign a new one with a new jti")
}

// errReserved is in the chain of refusals for what is reserved and not used up: the request
// that has reserved it is at work, or its answer was lost and nobody knows yet what became of it. It
// may be given back, so that nothing is to be thrown away for it.
var errReserved = errors.New("registry: another request has reserved it")

// reserved is the refusal until then, by the rule that forbids to use it twice.
func reserved(rule string, until, now time.Time) *refusal.Error {
	e := refusal.New(refusal.Unavailable, rule, "a request with the same token, jti or metadata is under way, or is being settled because an answer was lost; send the same request again when Retry-After has passed").Because(errReserved)
	e.RetryAfter = max(until.Sub(now), time.Second)
	return e
}

// stored is a reservation as the store has it. It carries its own end, because
// an engine may keep a value longer than asked.
type stored struct {
	Schema int    `json:"v"`
	Holder string `json:"holder"`
	// Until, seconds since 1970, is the end of the lease or, once final, of the
	// memory; 0 is never.
	Until int64 `json:"until"`
	Final bool  `json:"final,omitempty"`
}

// tokenReservations are one for each key of the token.
func tokenReservations(workspace, holder string, t *verify.AccessToken) (holds reservations) {
	for _, k := range t.Keys() {
		holds = append(holds, reservation{key: key("token", workspace, k), holder: holder, token: true, expires: t.Expires, used: errTokenUsed})
	}
	return holds
}

func requestReservation(workspace, holder string, q *verify.Request) reservation {
	return reservation{key: key("jti", workspace, q.Issuer, q.JTI), holder: holder, expires: q.Expires, used: errRequestUsed}
}

// exactToken is the reservation of a token as it is spelt. Nobody has confirmed a
// token that was spent, so that no other spelling may pass for it.
func exactToken(workspace, holder string, t *verify.AccessToken) reservation {
	return tokenReservations(workspace, holder, t)[0]
}

// registrationReservations are everything that a registration uses up.
func registrationReservations(workspace, holder string, in Registration) reservations {
	holds := reservations{requestReservation(workspace, holder, in.Request)}
	switch {
	case in.Spent != nil:
		holds = append(holds, exactToken(workspace, holder, in.Token))
	case in.Token != nil:
		holds = append(holds, tokenReservations(workspace, holder, in.Token)...)
	}
	return holds
}

// take reserves the thing, or fails with the refusal that the TPP is told.
func (v reservation) take(w Writer, now time.Time) error {
	s, err := v.read(w)
	if err != nil {
		return err
	}
	if s != nil && (v.fresh || s.Holder != v.holder) && s.lasts(now) {
		if used := v.used(); s.Final {
			return used
		} else {
			return reserved(used.RuleName(), time.Unix(s.Until, 0), now)
		}
	}
	until := leaseEnd(now)
	return v.write(w, stored{Holder: v.holder, Until: until.Unix()}, until)
}

// keep makes the reservation final. It fails when it is no longer held.
func (v reservation) keep(w Writer) error {
	if err := v.held(w); err != nil {
		return err
	}
	if v.expires.IsZero() {
		return v.write(w, stored{Holder: v.holder, Final: true}, time.Time{})
	}
	until := v.expires.Add(skew)
	return v.write(w, stored{Holder: v.holder, Until: until.Unix(), Final: true}, until)
}

// giveBack releases what the holder holds, and nothing else.
func (v reservation) giveBack(w Writer) error {
	s, err := v.read(w)
	if err != nil || s == nil || s.Holder != v.holder || s.Final {
		return err
	}
	return w.Delete(v.key)
}

// use takes the thing and makes that final.
func (v reservation) use(w Writer, now time.Time) error {
	if err := v.take(w, now); err != nil {
		return err
	}
	return v.keep(w)
}

// reservations are all or none: the error of one ends the transaction.
type reservations []reservation

func (l reservations) take(w Writer, now time.Time) error {
	for _, v := range l {
		if err := v.take(w, now); err != nil {
			return err
		}
	}
	return nil
}

func (l reservations) keep(w Writer) error {
	for _, v := range l {
		if err := v.keep(w); err != nil {
			return err
		}
	}
	return nil
}

func (l reservations) giveBack(w Writer) error {
	for _, v := range l {
		if err := v.giveBack(w); err != nil {
			return err
		}
	}
	return nil
}

func (v reservation) held(w Writer) error {
	s, err := v.read(w)
	if err != nil {
		return err
	}
	if s == nil || s.Holder != v.holder {
		return fmt.Errorf("registry: the reservation %s was lost", v.key)
	}
	return nil
}

// lasts tells whether its lease, or the memory of it, has not ended.
func (s *stored) lasts(now time.Time) bool { return s.Until == 0 || now.Unix() < s.Until }

func (v reservation) read(r getter) (*stored, error) {
	data, err := get(r, v.key)
	if err != nil || data == nil {
		return nil, err
	}
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("registry: unreadable reservation: %w", err)
	}
	return &s, nil
}

func (v reservation) write(w Writer, s stored, forget time.Time) error {
	s.Schema = schema
	if forget.IsZero() {
		return putRecord(w, v.key, s)
	}
	return putExpiringRecord(w, v.key, s, forget)
}
