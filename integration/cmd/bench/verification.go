package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// verificationTarget is how much more than the bare standard library the whole
// front door may take, allocationsTarget how often it may allocate.
const (
	verificationTarget = 1.35
	allocationsTarget  = 250
)

// frontDoor is what a registration goes through, without Caddy and store.
type frontDoor struct {
	raw       []byte
	rules     verify.RequestRules
	cert      *verify.Certificate
	now       time.Time
	directory crypto.PublicKey
	software  crypto.PublicKey
}

// openFrontDoor makes it for a software and the directory that signs its statements.
func openFrontDoor(software *tpp.Software, directory jose.JSONWebKeySet, signing any) (*frontDoor, error) {
	parse := func(set jose.JSONWebKeySet) (verify.FixedKeys, error) {
		text, err := json.Marshal(set)
		if err != nil {
			return nil, err
		}
		return verify.ParseJWKS(text)
	}
	issuers, err := parse(directory)
	if err != nil {
		return nil, err
	}
	own, err := parse(software.JWKS())
	if err != nil {
		return nil, err
	}
	d := &frontDoor{now: time.Now()}
	issuer := fmt.Sprint(software.StatementClaims(nil)["iss"])
	d.rules = verify.RequestRules{Audiences: []string{story.Bank}, Issuers: []*verify.Issuer{{
		Name: issuer, Keys: issuers, SoftwareKeys: func(string) (verify.KeySource, error) { return own, nil },
	}}}
	for to, private := range map[*crypto.PublicKey]any{&d.directory: signing, &d.software: software.Signing.Private} {
		signer, ok := private.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("a %T cannot sign", private)
		}
		*to = signer.Public()
	}
	body, err := software.Request(nil)
	if err != nil {
		return nil, err
	}
	d.raw = []byte(body)
	d.cert, err = verify.ReadCertificate(software.Transport.Leaf, d.now)
	return d, err
}

// knock verifies a request and holds it against the rule table.
func (d *frontDoor) knock(raw []byte) error {
	r, err := verify.VerifyRequest(context.Background(), raw, &d.rules, d.now)
	if err != nil {
		return err
	}
	_, err = verify.CheckMetadata(context.Background(), verify.MetadataInput{Request: r, Certificate: d.cert, Supported: verify.DefaultSupportedMetadata()})
	return err
}

// standard is the least that anybody must do: the same two signatures and one
// decoding of each payload, and no check.
func (d *frontDoor) standard() error {
	request, err := standardJWS(d.raw, d.software)
	if err != nil {
		return err
	}
	statement, ok := request["software_statement"].(string)
	if !ok {
		return errors.New("no statement")
	}
	_, err = standardJWS([]byte(statement), d.directory)
	return err
}

func standardJWS(raw []byte, key crypto.PublicKey) (claims map[string]any, err error) {
	last, first := bytes.LastIndexByte(raw, '.'), bytes.IndexByte(raw, '.')
	signature, err := base64.RawURLEncoding.AppendDecode(nil, raw[last+1:])
	if err != nil {
		return nil, err
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a %T is no RSA key", key)
	}
	sum := sha256.Sum256(raw[:last])
	if err := rsa.VerifyPSS(public, crypto.SHA256, sum[:], signature, nil); err != nil {
		return nil, err
	}
	payload, err := base64.RawURLEncoding.AppendDecode(nil, raw[first+1:last])
	if err != nil {
		return nil, err
	}
	return claims, json.Unmarshal(payload, &claims)
}

// verification measures the front door alone, beside the bare standard library,
// in short turns of one run.
func (b *bench) verification(ctx context.Context) error {
	d, err := openFrontDoor(b.software, b.directory.JWKS(), b.directory.Signing.Private)
	if err != nil {
		return err
	}
	turns, times := 60, 400
	if b.quick {
		turns, times = 5, 50
	}
	b.progress("verification, %d turns of %d requests each", turns, times)
	ours, standard, ratios := make([]float64, turns), make([]float64, turns), make([]float64, turns)
	for i := range turns {
		if err := ctx.Err(); err != nil {
			return err
		}
		if ours[i], err = microseconds(times, func() error { return d.knock(d.raw) }); err != nil {
			return err
		}
		if standard[i], err = microseconds(times, d.standard); err != nil {
			return err
		}
		ratios[i] = ours[i] / standard[i]
	}
	allocations := testing.AllocsPerRun(100, func() { err = errors.Join(err, d.knock(d.raw)) })
	theirs := testing.AllocsPerRun(100, func() { err = errors.Join(err, d.standard()) })
	if err != nil {
		return err
	}
	for _, list := range [][]float64{ours, standard, ratios} {
		slices.Sort(list)
	}
	b.table.section("verification of body and statement (%d bytes), decoded, and every rule, one core, median of %d turns", len(d.raw), turns)
	b.table.told("bare standard library", "%.0f us, %.0f allocations", standard[turns/2], theirs)
	b.table.told("the front door", "%.0f us", ours[turns/2])
	b.table.atMost("ratio, turn by turn", ratios[turns/2], verificationTarget, "%.2f (%.2f to %.2f)", ratios[turns/2], ratios[0], ratios[turns-1])
	b.table.atMost("allocations", allocations, allocationsTarget, "%.0f", allocations)
	return b.hostile(ctx)
}

// microseconds is what one call takes in the mean of many.
func microseconds(times int, f func() error) (float64, error) {
	began := time.Now()
	for range times {
		if err := f(); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(began).Nanoseconds()) / 1e3 / float64(times), nil
}
