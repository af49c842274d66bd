package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"

	"github.com/luikyv/go-oidc/pkg/goidc"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
)

// newControl is the control listener, on which tests look at the server and
// provoke faults. authserverprocess.Process is its client.
func newControl(e *edge, s *store) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /requests", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, e.recorded())
	})
	mux.HandleFunc("POST /requests/reset", func(w http.ResponseWriter, _ *http.Request) {
		e.forget()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /clients", func(w http.ResponseWriter, _ *http.Request) {
		clients := []map[string]any{}
		for _, c := range s.clients.all() {
			clients = append(clients, metadata(c))
		}
		writeJSON(w, clients)
	})
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		var fault authserverprocess.Fault
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&fault); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		e.add(fault)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /faults/held", func(w http.ResponseWriter, r *http.Request) {
		count, err := strconv.Atoi(r.URL.Query().Get("count"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if e.waitHeld(r.Context(), count) == nil {
			w.WriteHeader(http.StatusNoContent)
		}
	})
	mux.HandleFunc("POST /faults/release", func(w http.ResponseWriter, _ *http.Request) {
		e.release()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /faults/reset", func(w http.ResponseWriter, _ *http.Request) {
		e.reset()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// metadata is a client in the names of RFC 7591.
func metadata(c goidc.Client) map[string]any {
	out := map[string]any{}
	if raw, err := json.Marshal(c.ClientMeta); err == nil {
		_ = json.Unmarshal(raw, &out)
	}
	delete(out, "custom_attributes")
	maps.Copy(out, c.CustomAttributes)
	out["client_id"] = c.ID
	out["client_id_issued_at"] = c.CreatedAt
	if c.Secret != "" {
		out["client_secret"] = c.Secret
	}
	return out
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}
