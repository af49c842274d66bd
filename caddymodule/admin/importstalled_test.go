package admin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// oneConn is a listener of one connection.
type oneConn struct{ conns chan net.Conn }

func (l *oneConn) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (*oneConn) Close() error   { return nil }
func (*oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// TestStalledBodyEnds: a body of which no part comes, or all too slowly, does not hold the import
// for ever, and the operator is told.
func TestStalledBodyEnds(t *testing.T) {
	for name, test := range map[string]struct {
		pause, want time.Duration
	}{"stalls": {0, backupPatience}, "trickles": {backupPatience / 2, importTime}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				l := &oneConn{make(chan net.Conn, 1)}
				l.conns <- there
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, err := io.Copy(io.Discard, newPatientReader(r.Body, http.NewResponseController(w)))
					http.Error(w, fmt.Sprint(errors.Is(err, errStalled), errors.Is(err, os.ErrDeadlineExceeded)), http.StatusRequestTimeout)
				})}
				go func() { _ = server.Serve(l) }()
				defer func() { close(l.conns); _ = server.Close(); _ = here.Close(); time.Sleep(time.Minute) }() // fake: all goroutines end
				began := time.Now()
				go func() {
					_, err := io.WriteString(here, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx")
					for err == nil && test.pause > 0 {
						time.Sleep(test.pause)
						_, err = io.WriteString(here, "x")
					}
				}()
				answer, err := http.ReadResponse(bufio.NewReader(here), nil)
				if err != nil {
					t.Fatal(err)
				}
				says, err := io.ReadAll(answer.Body)
				if took := time.Since(began); err != nil || took != test.want || !strings.HasPrefix(string(says), "true true") {
					t.Errorf("%q, %v after %v; want its end after %v", says, err, took, test.want)
				}
			})
		})
	}
}

// TestStalledImportLeavesNothing: what has arrived of the file is not imported, and the whole file
// is, the next time.
func TestStalledImportLeavesNothing(t *testing.T) {
	start(t)
	file := fileHeader + clientLine("one") + clientLine("two")
	body := io.MultiReader(strings.NewReader(file[:len(file)-20]), iotest.ErrReader(os.ErrDeadlineExceeded))
	r := httptest.NewRequest(http.MethodPost, "http://localhost:2019"+prefix+"import?"+write, body)
	r.Header.Set("Content-Type", jsonLines)
	w := httptest.NewRecorder()
	if status, says := answerOf(t, w, serve(w, r)); status != http.StatusRequestTimeout || !strings.Contains(says, "nothing was imported: send it again") {
		t.Errorf("%d %s, want 408", status, says)
	}
	if _, says := asks(t, "GET imports", "", ""); !strings.Contains(says, `"entries":[]`) {
		t.Errorf("%s, want no import", says)
	}
	if status, says := asks(t, "POST import", write, file); status != http.StatusOK || !strings.Contains(says, `"written":2`) {
		t.Errorf("%d %s, want both written", status, says)
	}
}
