package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rawTimeout bounds one raw request with its answer.
const rawTimeout = 20 * time.Second

// rawRequest is a request that no library would send. target is the request line's or
// :path, authority Host or :authority. An empty protocol is left out.
type rawRequest struct {
	method, target, authority, protocol string
	header                              [][2]string
	body                                string
}

// rawProtocols send raw requests over one version of HTTP each, on a connection of its
// own, and return the status. An error is a connection that the server has ended.
var rawProtocols = []struct {
	name string
	send func(ctx context.Context, host string, config *tls.Config, r rawRequest) (status string, body []byte, err error)
}{
	{"HTTP/1.1", sendHTTP1}, {"HTTP/2.0", sendHTTP2}, {"HTTP/3.0", sendHTTP3},
}

// sendRaw is send for tests, with a bound.
func sendRaw(t *testing.T, protocol int, host string, config *tls.Config, r rawRequest) (status string, body []byte, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rawTimeout)
	defer cancel()
	status, body, err = rawProtocols[protocol].send(ctx, host, config.Clone(), r)
	if ctx.Err() != nil {
		t.Fatalf("%s %q: no answer within %s", r.method, r.target, rawTimeout)
	}
	return status, body, err
}

func sendHTTP1(ctx context.Context, host string, config *tls.Config, r rawRequest) (string, []byte, error) {
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", host)
	if err != nil {
		return "", nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: %d\r\n", r.method, r.target, r.authority, len(r.body))
	for _, h := range r.header {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	if _, err := io.WriteString(conn, b.String()+"\r\n"+r.body); err != nil {
		return "", nil, err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.method})
	if err != nil {
		return "", nil, err
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.Status[:3], body, nil
}

// fields are the request's fields, pseudo fields first.
func (r rawRequest) fields(scheme bool) (out [][2]string) {
	out = [][2]string{{":method", r.method}, {":authority", r.authority}}
	if scheme {
		out = append(out, [2]string{":scheme", "https"}, [2]string{":path", r.target})
	}
	if r.protocol != "" {
		out = append(out, [2]string{":protocol", r.protocol})
	}
	for _, h := range r.header {
		out = append(out, [2]string{strings.ToLower(h[0]), h[1]})
	}
	return out
}

func sendHTTP2(ctx context.Context, host string, config *tls.Config, r rawRequest) (string, []byte, error) {
	config.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", host)
	if err != nil {
		return "", nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return "", nil, err
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range r.fields(r.method != http.MethodConnect || r.protocol != "") {
		if err := encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return "", nil, err
		}
	}
	err = errors.Join(framer.WriteSettings(), framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: r.body == ""}))
	if err == nil && r.body != "" {
		err = framer.WriteData(1, true, []byte(r.body))
	}
	if err != nil {
		return "", nil, err
	}
	status, body := "", []byte(nil)
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return status, body, err
		}
		ended := false
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			status, ended = f.PseudoValue("status"), f.StreamEnded()
		case *http2.DataFrame:
			body, ended = append(body, f.Data()...), f.StreamEnded()
		case *http2.RSTStreamFrame:
			return status, body, fmt.Errorf("stream reset: %v", f.ErrCode)
		case *http2.GoAwayFrame:
			return status, body, fmt.Errorf("connection ended: %v", f.ErrCode)
		}
		if ended {
			return status, body, nil
		}
	}
}

// Frame and stream types of RFC 9114 7.2 and 6.2.
const (
	h3Data, h3Headers, h3Settings = 0, 1, 4
	h3Control                     = 0
)

func h3Frame(kind uint64, payload []byte) []byte {
	return append(quicvarint.Append(quicvarint.Append(nil, kind), uint64(len(payload))), payload...)
}

func sendHTTP3(ctx context.Context, host string, config *tls.Config, r rawRequest) (string, []byte, error) {
	config.NextProtos = []string{"h3"}
	conn, err := quic.DialAddr(ctx, host, config, &quic.Config{})
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = conn.CloseWithError(0, "") }()
	control, err := conn.OpenUniStream()
	if err != nil {
		return "", nil, err
	}
	if _, err := control.Write(append(quicvarint.Append(nil, h3Control), h3Frame(h3Settings, nil)...)); err != nil {
		return "", nil, err
	}
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return "", nil, err
	}
	var block bytes.Buffer
	encoder := qpack.NewEncoder(&block)
	for _, f := range r.fields(r.method != http.MethodConnect || r.protocol != "") {
		if err := encoder.WriteField(qpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return "", nil, err
		}
	}
	out := h3Frame(h3Headers, block.Bytes())
	if r.body != "" {
		out = append(out, h3Frame(h3Data, []byte(r.body))...)
	}
	if _, err := stream.Write(out); err != nil {
		return "", nil, err
	}
	if err := stream.Close(); err != nil {
		return "", nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(stream, 1<<20))
	if err != nil {
		return "", nil, err
	}
	return readHTTP3(answer)
}

// readHTTP3 reads the frames of an answer.
func readHTTP3(answer []byte) (status string, body []byte, err error) {
	for len(answer) > 0 {
		kind, n, err := quicvarint.Parse(answer)
		if err != nil {
			return status, body, err
		}
		length, m, err := quicvarint.Parse(answer[n:])
		if err != nil || length > uint64(len(answer)-n-m) {
			return status, body, errors.Join(errors.New("half a frame"), err)
		}
		payload := answer[n+m : n+m+int(length)]
		answer = answer[n+m+int(length):]
		switch kind {
		case h3Headers:
			decode := qpack.NewDecoder().Decode(payload)
			for f, err := decode(); err == nil; f, err = decode() {
				if f.Name == ":status" {
					status = f.Value
				}
			}
		case h3Data:
			body = append(body, payload...)
		}
	}
	return status, body, nil
}
