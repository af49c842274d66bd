package edge

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
)

// newControl is the control listener, on which tests look at the server and
// provoke faults. authserverprocess.Process is its client.
func newControl(e *edge, clients Clients, change Change) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /requests", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, e.recorded())
	})
	mux.HandleFunc("POST /requests/reset", func(w http.ResponseWriter, _ *http.Request) {
		e.forget()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /clients", func(w http.ResponseWriter, r *http.Request) {
		all, err := clients(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if all == nil {
			all = []map[string]any{}
		}
		writeJSON(w, all)
	})
	if change != nil {
		mux.HandleFunc("POST /clients/{id}", changing(change))
	}
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

// changing has the server change a client behind the gateway's back.
func changing(change Change) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var metadata map[string]any
		err := json.NewDecoder(r.Body).Decode(&metadata)
		if err == nil {
			err = change(r.Context(), r.PathValue("id"), metadata)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}
