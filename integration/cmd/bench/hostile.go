package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// growthTarget is how many MiB a million hostile requests may leave behind.
const growthTarget = 4

// hostile feeds a process of its own with requests that must all be refused, and
// looks at what it holds after the first ten thousand and at the end.
func (b *bench) hostile(ctx context.Context) error {
	n := 1_000_000
	if b.quick {
		n = 20_000
	}
	b.progress("%d hostile requests", n)
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "-hostile", strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	var early, late, peak int64
	if _, err := fmt.Sscan(string(out), &early, &late, &peak); err != nil {
		return fmt.Errorf("%q: %w", out, err)
	}
	b.table.section("resident memory of a process that refuses %d hostile requests", n)
	b.table.told("after 10,000 of them", "%.1f MiB", mebibytes(early))
	b.table.told("after all", "%.1f MiB", mebibytes(late))
	b.table.told("peak", "%.1f MiB", mebibytes(peak))
	b.table.atMost("growth", mebibytes(late-early), growthTarget, "%+.1f MiB", mebibytes(late-early))
	return nil
}

// refuseAll is that process. It prints the three figures in bytes.
func refuseAll(ctx context.Context, n int, to io.Writer) (err error) {
	d, err := directory.Start(ctx, directory.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	software, err := d.Enrol(directory.Enrolment{RedirectURIs: redirectURIs()})
	if err != nil {
		return err
	}
	acme := &tpp.Software{Software: software, Audience: story.Bank}
	door, err := openFrontDoor(acme, d.JWKS(), d.Signing.Private)
	if err != nil {
		return err
	}
	signed, err := hostileBodies(acme)
	if err != nil {
		return err
	}
	const early = 10_000
	var first int64
	for i := range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		if body := mutated(i, door.raw, signed); door.knock(body) == nil {
			return fmt.Errorf("hostile request %d is accepted: %.80q", i, body)
		}
		if i+1 == early {
			if first, _, err = ownMemory(); err != nil {
				return err
			}
		}
	}
	last, peak, err := ownMemory()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(to, first, last, peak)
	return err
}

// hostileBodies are requests with a good signature around what must be refused.
func hostileBodies(acme *tpp.Software) (out [][]byte, err error) {
	other, err := directory.NewKey("PS256")
	if err != nil {
		return nil, err
	}
	claims, err := acme.RequestClaims(nil)
	if err != nil {
		return nil, err
	}
	forged, err := other.Sign(acme.StatementClaims(nil), nil)
	if err != nil {
		return nil, err
	}
	for _, overrides := range []map[string]any{
		{"exp": 1}, {"iss": "x"}, {"aud": "x"}, {"jti": "x"}, {"scope": "dcr_register"}, {"response_types": []string{"token"}},
		{"redirect_uris": []string{"https://evil.example/"}}, {"grant_types": []string{"password"}}, {"tls_client_auth_subject_dn": "CN=" + strings.Repeat("x,CN=", 150) + "x"},
		{"software_statement": forged}, {"software_statement": "a.b.c"}, {"exp": json.RawMessage("1e999")}, {"exp": json.RawMessage(`"` + strings.Repeat("9", 4000) + `"`)},
	} {
		body, err := acme.Request(overrides)
		if err != nil {
			return nil, err
		}
		out = append(out, []byte(body))
	}
	names := make([]string, 500)
	for i := range names {
		names[i] = fmt.Sprintf(`"n%d":{"a":[%d]}`, i, i)
	}
	for _, payload := range []string{
		strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000), strings.Repeat("[", 20000), `{"a":1,"a":2}`,
		`{` + strings.Join(names, ",") + `}`, `{"a":` + strings.Repeat("1", 20000) + `}`, `{"software_statement":"` + strings.Repeat("A", 30000) + `"}`, "null", "",
	} {
		body, err := acme.Signing.SignPayload([]byte(payload), nil)
		if err != nil {
			return nil, err
		}
		out = append(out, []byte(body))
	}
	for _, header := range []map[string]any{{"alg": "none"}, {"alg": "RS256"}, {"alg": "HS256"}, {"kid": "unknown"}, {"kid": nil, "crit": []string{"b64"}}, {"jku": "https://evil.example"}, {"typ": "at+jwt"}} {
		body, err := acme.Signing.Sign(claims, header)
		if err != nil {
			return nil, err
		}
		out = append(out, []byte(body))
	}
	body, err := other.Sign(claims, map[string]any{"kid": acme.Signing.ID})
	return append(out, []byte(body)), err
}

// mutated is the i-th hostile request: one of the signed ones, or a good one with
// a byte changed, cut, doubled or padded.
func mutated(i int, good []byte, signed [][]byte) []byte {
	at := i * 7919 % len(good)
	switch i % 6 {
	case 0:
		return signed[i/6%len(signed)]
	case 1:
		out := bytes.Clone(good)
		out[at] ^= 1 << (i % 7)
		if bytes.Equal(out, good) || bytes.HasPrefix(out, good) {
			out[0] ^= 1
		}
		return out
	case 2:
		return good[:at]
	case 3:
		return append(bytes.Clone(good[:at]), good...)
	case 4:
		return append(bytes.Clone(good), "="...)
	}
	return bytes.Repeat([]byte{byte(i)}, at)
}

// ownMemory is what this process holds, and has held at most, once nothing of the
// last request is left.
func ownMemory() (resident, peak int64, err error) {
	runtime.GC()
	err = readSizes("/proc/self/status", map[string]*int64{"VmRSS": &resident, "VmHWM": &peak})
	return resident, peak, err
}
