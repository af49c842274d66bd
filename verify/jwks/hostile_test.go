package jwks_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// raw answers with bytes of its own instead of net/http's, until speak returns.
func raw(speak func(w io.Writer)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		speak(conn)
	}
}

// repeatedly writes text until the other side has gone.
func repeatedly(w io.Writer, text string) {
	for {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
	}
}

const ok = "HTTP/1.1 200 OK\r\n"

// Compression is not asked for, and not undone: a small answer could become a
// large one, and an endless one nothing at all.
func TestCompressedAnswers(t *testing.T) {
	zip := func(text string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := io.WriteString(z, text); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	encoded := func(encoding string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Accept-Encoding"); got != "identity" {
				t.Errorf("asked for %q", got)
			}
			w.Header().Set("Content-Encoding", encoding)
			if _, err := w.Write(body); err != nil {
				t.Log(err)
			}
		}
	}
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		ok     bool
	}{
		{"identity", encoded("identity", []byte(set("a"))), true},
		{"Identity", encoded("Identity", []byte(set("a"))), true},
		{"gzip", encoded("gzip", zip(set("a"))), false},
		{"GZIP", encoded("GZIP", zip(set("a"))), false},
		{"bomb of 4 MiB", encoded("gzip", zip(strings.Repeat(" ", 4<<20))), false},
		{"endless nothing", raw(func(w io.Writer) {
			fmt.Fprint(w, ok+"Content-Encoding: gzip\r\n\r\n")
			repeatedly(w, string(zip("")))
		}), false},
		{"gzip that is none", encoded("gzip", []byte(set("a"))), false},
		{"zstd", encoded("zstd", []byte(set("a"))), false},
		{"several", encoded("gzip, identity", []byte(set("a"))), false},
		{"gzip without saying so", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if _, err := w.Write(zip(set("a"))); err != nil {
				t.Log(err)
			}
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDirectory(t, tc.answer)
			keys, err := source(t, d).Keys(context.Background())
			if (err == nil) != tc.ok || tc.ok && kids(keys) != "a" {
				t.Errorf("got %q, %v", kids(keys), err)
			}
			if timeout := (net.Error)(nil); errors.As(err, &timeout) && timeout.Timeout() {
				t.Error("ended by time only")
			}
		})
	}
}

// What never ends is cut by its size long before the time is up.
func TestEndlessAnswers(t *testing.T) {
	for name, speak := range map[string]func(w io.Writer){
		"headers":       func(w io.Writer) { fmt.Fprint(w, ok); repeatedly(w, "X: "+strings.Repeat("x", 1000)+"\r\n") },
		"a header":      func(w io.Writer) { fmt.Fprint(w, ok+"X: "); repeatedly(w, strings.Repeat("x", 1000)) },
		"a status line": func(w io.Writer) { fmt.Fprint(w, "HTTP/1.1 200 "); repeatedly(w, strings.Repeat("x", 1000)) },
		"early hints":   func(w io.Writer) { repeatedly(w, "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n") },
		"body":          func(w io.Writer) { fmt.Fprint(w, ok+"\r\n"); repeatedly(w, strings.Repeat(" ", 1000)) },
		"body of a length": func(w io.Writer) {
			fmt.Fprint(w, ok+"Content-Length: 1099511627776\r\n\r\n")
			repeatedly(w, strings.Repeat(" ", 1000))
		},
		"chunks": func(w io.Writer) {
			fmt.Fprint(w, ok+"Transfer-Encoding: chunked\r\n\r\n")
			repeatedly(w, "1f4\r\n"+strings.Repeat(" ", 500)+"\r\n")
		},
		"a chunk's size":    func(w io.Writer) { fmt.Fprint(w, ok+"Transfer-Encoding: chunked\r\n\r\n"); repeatedly(w, "0") },
		"a chunk's comment": func(w io.Writer) { fmt.Fprint(w, ok+"Transfer-Encoding: chunked\r\n\r\n4;"); repeatedly(w, "x") },
		"trailers": func(w io.Writer) {
			fmt.Fprint(w, ok+"Transfer-Encoding: chunked\r\n\r\n0\r\n")
			repeatedly(w, "X: x\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirectory(t, raw(speak))
			res, err := client(t, jwks.Options{PrivateRanges: true, Timeout: time.Minute}, d).Get(context.Background(), d.URL)
			if err == nil {
				t.Fatalf("got %d bytes", len(res.Body))
			}
			if timeout := (net.Error)(nil); errors.As(err, &timeout) && timeout.Timeout() {
				t.Errorf("ended by time only: %v", err)
			}
		})
	}
}

// The time is that of the whole exchange, however the server spreads it.
func TestTimeoutCoversTheWholeExchange(t *testing.T) {
	for name, tc := range map[string]struct{ begin, drop string }{
		"header": {ok + "X: ", "x"},
		"hints":  {"", "HTTP/1.1 103 Early Hints\r\n\r\n"},
		"body":   {ok + "\r\n", " "},
		"chunks": {ok + "Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var drops atomic.Int32
			d := newDirectory(t, raw(func(w io.Writer) {
				fmt.Fprint(w, tc.begin)
				pace := time.NewTicker(10 * time.Millisecond)
				defer pace.Stop()
				for range pace.C {
					if _, err := io.WriteString(w, tc.drop); err != nil {
						return
					}
					drops.Add(1)
				}
			}))
			_, err := client(t, jwks.Options{PrivateRanges: true, Timeout: time.Second}, d).Get(context.Background(), d.URL)
			if timeout := (net.Error)(nil); !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("got %v", err)
			}
			if drops.Load() == 0 {
				t.Error("fixture: nothing dripped")
			}
		})
	}
}
