package authserverprocess_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	. "github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
)

func TestFaults(t *testing.T) {
	eachServer(t, nil, func(t *testing.T, s *server) {
		body := s.tlsClient(s.authority.issue(transportName("tpp")))
		post := func(id string) call {
			return s.endpoint("registration_endpoint", nil).withBody(s, body).bearer("initial").with("X-Client-Id", id)
		}
		fault := func(f Fault) {
			t.Helper()
			f.Method, f.PathContains = "POST", "/reg"
			if err := s.Fault(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		known := func(want ...string) {
			t.Helper()
			clients, err := s.Clients(t.Context())
			var ids []string
			for _, c := range clients {
				ids = append(ids, c["client_id"].(string))
			}
			if err != nil || !slices.Equal(ids, want) {
				t.Fatalf("clients %v, want %v; %v", ids, want, err)
			}
		}
		dropped := func(c call) {
			t.Helper()
			if response, err := s.do(c); err == nil {
				t.Fatalf("%s in place of a dropped connection", response.Status)
			}
		}

		fault(Fault{Status: http.StatusServiceUnavailable, Body: `{"error":"x"}`, Header: map[string]string{"Retry-After": "7"}, Times: 2})
		for range 2 {
			if answer := s.json(http.StatusServiceUnavailable, post("a")); answer["error"] != "x" {
				t.Errorf("got %v, want the error x", answer)
			}
		}
		fault(Fault{Drop: true})
		dropped(post("a"))
		known()
		fault(Fault{Drop: true, After: true})
		dropped(post("a"))
		known("a")
		fault(Fault{Status: http.StatusBadGateway, After: true, DelayMS: 1})
		s.status(http.StatusBadGateway, post("b"))
		known("a", "b")
		fault(Fault{After: true, Set: map[string]any{"token_endpoint_auth_method": "other"}})
		if answer := s.json(http.StatusCreated, post("b")); answer["token_endpoint_auth_method"] != "other" || answer["client_id"] != "b" {
			t.Errorf("got %v, want the method other, and client_id b", answer)
		}
		known("a", "b")

		for _, after := range []bool{false, true} {
			if err := s.Hold(t.Context(), "POST", "/reg", after); err != nil {
				t.Fatal(err)
			}
			answered := make(chan int, 1)
			go func() {
				response, err := s.do(post("c"))
				if err != nil {
					answered <- 0
					return
				}
				response.Body.Close()
				answered <- response.StatusCode
			}()
			if err := s.WaitHeld(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			known(map[bool][]string{false: {"a", "b"}, true: {"a", "b", "c"}}[after]...)
			if err := s.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			if status := <-answered; status != http.StatusCreated {
				t.Errorf("held request: got %d, want 201", status)
			}
		}

		var statuses []int
		requests, err := s.RequestsTo(t.Context(), "POST", "/reg")
		for _, r := range requests {
			statuses = append(statuses, r.Status)
		}
		if err != nil || !slices.Equal(statuses, []int{503, 503, 0, 201, 502, 201, 201, 201}) {
			t.Fatalf("got %v, %v, want 503 503 0 201 502 201 201 201", statuses, err)
		}
		last := requests[len(requests)-1]
		if last.Header.Get("X-Client-Id") != "c" || last.Header.Get("Host") != s.Listen || last.BodyLength != len(last.Body) || !strings.Contains(last.Body, "tls_client_auth") {
			t.Errorf("got %+v, want the client c at %s with the whole body", last, s.Listen)
		}
		if err := s.ResetRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		if requests, err := s.Requests(t.Context()); err != nil || len(requests) != 0 {
			t.Errorf("after reset: got %v, %v, want none", requests, err)
		}
		// A request that is still held does not hinder the stop.
		if err := s.Hold(t.Context(), "POST", "/reg", false); err != nil {
			t.Fatal(err)
		}
		go func() {
			if response, err := s.do(post("d")); err == nil {
				response.Body.Close()
			}
		}()
		if err := s.WaitHeld(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	})
}

func TestKillAndRestart(t *testing.T) {
	eachServer(t, nil, func(t *testing.T, s *server) {
		s.register(s.tlsClient(s.authority.issue(transportName("tpp"))), "")
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		config := s.Config
		config.Listen = s.Listen // the gateway goes on knowing the address
		again, err := Start(t.Context(), s.Kind, config)
		if err != nil {
			t.Fatal(err)
		}
		if clients, err := again.Clients(t.Context()); err != nil || len(clients) != 0 || again.Listen != s.Listen {
			t.Errorf("%v at %s, want none at %s; %v", clients, again.Listen, s.Listen, err)
		}
		if err := again.Stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestStartRefuses(t *testing.T) {
	for _, kind := range Kinds {
		_, err := Start(t.Context(), kind, Config{AccessTokens: "jwe"})
		if err == nil || !strings.Contains(err.Error(), "access_tokens") {
			t.Errorf("%s: got %v, want an error about access_tokens", kind, err)
		}
	}
	if _, err := Start(t.Context(), "other", Config{}); err == nil {
		t.Error("an unknown server was started")
	}
}
