package clientfile

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

const header = `{"format":"openbanking_dcr_clients","version":1}` + "\n"

const minimal = `{"client_id":"a","software_id":"s","org_id":"o","directory":"d","metadata":{"token_endpoint_auth_method":"tls_client_auth"}}`

// file is one that was exported.
func file(t testing.TB, clients ...*Client) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, Header{Time: time.Date(2026, 11, 30, 1, 2, 3, 0, time.UTC), Workspaces: []string{"default/obuk"}, Sealed: true, KeysetIDs: []uint32{1, 4294967295}}, len(clients))
	for _, c := range clients {
		line, lineErr := Line(c)
		err = errors.Join(err, lineErr, w.Put(line))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if w.Bytes() != int64(b.Len()) || w.Clients() != len(clients) {
		t.Errorf("%d bytes and %d clients, want %d and %d", w.Bytes(), w.Clients(), b.Len(), len(clients))
	}
	return b.Bytes()
}

// read reads a file to its end: the clients, and the errors of lines.
func read(from io.Reader) (clients []*Client, wrong []string, err error) {
	r, err := NewReader(from)
	if err != nil {
		return nil, nil, err
	}
	for {
		c, err := r.Next()
		var line *LineError
		switch {
		case errors.Is(err, io.EOF):
			return clients, wrong, nil
		case errors.As(err, &line):
			wrong = append(wrong, err.Error())
		case err != nil:
			return clients, wrong, err
		default:
			clients = append(clients, c)
		}
	}
}

func example(id string) *Client {
	yes := true
	return &Client{
		ClientID: id, Workspace: "default/obuk", Status: "active", Suspended: true, SoftwareID: "s", OrgID: "o", Directory: "d", ClientName: "Ünï \"x\"\u009b\u202e", IssuedAt: 1, UpdatedAt: 2,
		Metadata: verify.Metadata{RedirectURIs: []string{"https://a.example/<&>"}, TokenEndpointAuthMethod: "tls_client_auth", BackchannelUserCode: &yes, Scope: "openid"},
		Subject:  []byte{1, 2, 3}, Sealed: []byte("secret"), SignedRequest: "a.b.c", X5C: []string{"x"},
	}
}

func TestWrittenIsRead(t *testing.T) {
	t.Parallel()
	want := []*Client{example("1"), example("2")}
	text := file(t, want...)
	clients, wrong, err := read(bytes.NewReader(text))
	if err != nil || len(wrong) > 0 || !reflect.DeepEqual(clients, want) {
		t.Errorf("%+v, %q, %v; want what was written", clients, wrong, err)
	}
	if bytes.ContainsAny(text, "\u009b\u202e") {
		t.Errorf("got %q, want control characters and those that change the direction escaped", text)
	}
	r, err := NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if h := r.Header(); h.Count == nil || *h.Count != 2 || !h.Sealed || len(h.KeysetIDs) != 2 || h.Workspaces[0] != "default/obuk" {
		t.Errorf("%+v: not the header that was written", h)
	}
	for range 3 {
		_, err = r.Next()
	}
	if sum := r.Sum(); !errors.Is(err, io.EOF) || sum != sha256.Sum256(text) || r.Bytes() != int64(len(text)) || r.Clients() != 2 {
		t.Errorf("%v, %x after %d bytes; want the hash of the file at its end", err, sum, r.Bytes())
	}
	if _, wrong, err := read(strings.NewReader(header + minimal + "\r\n" + strings.Replace(minimal, `"a"`, `"b"`, 1) + "\n")); err != nil || len(wrong) > 0 {
		t.Errorf("a file of a person, with a CRLF: %q, %v", wrong, err)
	}
}

// TestNoSecretInClear is about a slip of the pen in the code that exports.
func TestNoSecretInClear(t *testing.T) {
	t.Parallel()
	for _, c := range []*Client{{ClientSecret: "s"}, {RegistrationAccessToken: "t"}} {
		if line, err := Line(c); err == nil {
			t.Errorf("%s was written", line)
		}
	}
}

// TestNotWhole: of an export every part counts.
func TestNotWhole(t *testing.T) {
	t.Parallel()
	whole := file(t, example("1"), example("2"))
	lines := bytes.SplitAfter(whole, []byte("\n"))
	for cut := len(lines[0]); cut < len(whole); cut++ {
		if _, wrong, err := read(bytes.NewReader(whole[:cut])); err == nil && len(wrong) == 0 {
			t.Fatalf("cut after %d of %d bytes: it is taken for whole", cut, len(whole))
		}
	}
	for name, text := range map[string][]byte{
		"a line twice":  bytes.Join([][]byte{lines[0], lines[1], lines[1], lines[3]}, nil),
		"a line less":   bytes.Join([][]byte{lines[0], lines[1], lines[3]}, nil),
		"another line":  bytes.Replace(whole, []byte(`"o"`), []byte(`"p"`), 1),
		"two ends":      append(bytes.Clone(whole), lines[3]...),
		"more":          append(bytes.Clone(whole), ' '),
		"no count":      bytes.Replace(whole, []byte(`"count":2,`), nil, 1),
		"another count": bytes.Replace(whole, []byte(`"clients":2`), []byte(`"clients":3`), 1),
	} {
		if _, wrong, err := read(bytes.NewReader(text)); err != nil || !strings.Contains(strings.Join(wrong, "\n"), "cut off, or changed") {
			t.Errorf("%s: %q, %v; want that it was changed", name, wrong, err)
		}
	}
}

// TestHostileLines: a bad line is told with its number, the others are read, and no error has
// a value.
func TestHostileLines(t *testing.T) {
	t.Parallel()
	for line, says := range map[string]string{
		`{"client_id":"a","client_id":"b"}`:                               "client_id",
		`{"client_id":"a","Client_ID":"b"}`:                               "Client_ID",
		`{"CLIENT_ID":"a"}`:                                               "unknown member",
		`{"client_id":"a","metadata":{"redirect_uri":"b"}}`:               "metadata has the unknown member",
		`{"client_id":"a","metadata":{"client_secret":"hidden"}}`:         "beside metadata",
		`{"client_id":"a","metadata":[]}`:                                 "metadata",
		`{"client_id":7,"client_secret":"hidden"}`:                        "client_id is a number, and must be a string",
		`{"client_id":"a","client_secret":["hidden"]}`:                    "client_secret is a array, and must be a string",
		`{"client_id":"a","issued_at":"hidden"}`:                          "issued_at is a string, and must be an integer",
		`{"client_id":"a","sealed":"hidden!"}`:                            "base64",
		`{"client_id":"a\u0000"}` + "\x00":                                "text after the object",
		"{\"client_id\":\"a\x00\"}":                                       "at byte",
		"{\"client_id\":\"\xff\"}":                                        "not UTF-8",
		`{"client_id":"\ud800"}`:                                          "at byte",
		`[]`:                                                              "not a JSON object",
		``:                                                                "empty",
		`{"client_id":"` + strings.Repeat("x", MaxLine) + `"}`:            "longer than 262144 bytes",
		`{"client_id":` + strings.Repeat("[", 100):                        "at byte",
		`{"client_id":"a"} {"client_id":"b"}`:                             "text after the object",
		header[:len(header)-1]:                                            "unknown member",
		`{"end":{"clients":2,"sha256":"` + strings.Repeat("0", 64) + `"}`: "at byte",
	} {
		clients, wrong, err := read(strings.NewReader(header + minimal + "\n" + line + "\n" + strings.Replace(minimal, `"a"`, `"z"`, 1) + "\n"))
		if err != nil || len(wrong) != 1 || !strings.HasPrefix(wrong[0], "line 3: ") || !strings.Contains(wrong[0], says) || strings.Contains(wrong[0], "hidden") {
			t.Errorf("%.80q: %.200q, %v; want line 3 and %q alone", line, wrong, err, says)
		}
		if len(clients) != 2 || clients[1].ClientID != "z" {
			t.Errorf("%.80q: %d clients were read, want the line before and the line after", line, len(clients))
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		"": ErrNoClients, "\n": ErrNoClients, "x": ErrNoClients, minimal + "\n": ErrNoClients, "caddy-dcr backup 1\n": ErrNoClients,
		"\xef\xbb\xbf" + header: ErrNoClients, "\x1f\x8b\x08\x00": ErrNoClients, "\xff\xfe{\x00": ErrNoClients, strings.Repeat("x", 2*MaxLine): ErrNoClients,
		strings.Replace(header, "1}", "2}", 1):            ErrNewer,
		strings.Replace(header, "1}", `"1"}`, 1):          ErrNoClients,
		strings.Replace(header, "1}", `1,"count":-1}`, 1): ErrNoClients,
		strings.Replace(header, "1}", `1,"x":1}`, 1):      ErrNoClients,
		header: nil,
	} {
		if _, _, err := read(strings.NewReader(text)); !errors.Is(err, want) {
			t.Errorf("%.40q: %v, want %v", text, err, want)
		}
	}
}

// endless is a text that goes on for so many bytes.
type endless struct {
	text string
	left int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && e.left > 0 {
		more := copy(p[n:], e.text)
		n, e.left = n+more, e.left-int64(more)
	}
	return n, nil
}

// TestGigabyte: more than the bound is refused, as one line and as many, in flat memory.
func TestGigabyte(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	for name, text := range map[string]string{"one line": strings.Repeat("x", 4096), "many lines": strings.Repeat("\n", 4096), "many clients": minimal + "\n"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := NewReader(io.MultiReader(strings.NewReader(header), &endless{text, MaxFile + 1}))
		if err == nil {
			r.bytes = MaxFile - 4<<20 // the rest takes long
		}
		for lines := 0; err == nil || errors.As(err, new(*LineError)); lines++ {
			if _, err = r.Next(); lines%10_000 == 0 {
				runtime.ReadMemStats(&after)
				if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 32<<20 {
					t.Fatalf("%s: %d MB after %d lines, want flat memory", name, grown>>20, lines)
				}
			}
		}
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v, want that it is too large", name, err)
		}
	}
}

// FuzzReader: whatever the bytes are, reading ends, and what was taken can be written and is
// then the same.
func FuzzReader(f *testing.F) {
	f.Add([]byte(header + minimal + "\n"))
	f.Add(file(f, example("1")))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		clients, _, err := read(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, c := range clients {
			c.ClientSecret, c.RegistrationAccessToken = "", ""
			line, err := Line(c)
			if err != nil {
				return // it grows where it was written with fewer escapes
			}
			again, wrong, err := read(strings.NewReader(header + string(line)))
			if err != nil || len(wrong) > 0 || len(again) != 1 {
				t.Fatalf("%s cannot be read: %q, %v", line, wrong, err)
			}
			if other, err := Line(again[0]); err != nil || !bytes.Equal(other, line) {
				t.Fatalf("%s is %s when it was read, %v", line, other, err)
			}
		}
	})
}
