package caddymodule

import (
	"fmt"
	"log/slog"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// leftOutCount counts them since the process began, over reloads.
var leftOutCount = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "caddy_openbanking_dcr_ignored_jwks_keys_total",
	Help: "Keys of JWKS, or their certificates (x5c), that are not usable: each counts once, with a line in the log. source is software_statement, signed_request_body, authorization_server or file.",
}, []string{"source"})

const (
	// maxLeftOut bounds of how many keys a configuration remembers that it has told of them.
	maxLeftOut = 4096
	// maxLeftOutLines is how many of one JWKS are logged at once: a TPP's holds what it likes.
	maxLeftOutLines = 10
)

// leftOutKeys tells of keys that do not count, of each once.
type leftOutKeys struct {
	log  *slog.Logger
	of   string
	told *lru.Cache[string, struct{}]
}

// newLeftOutKeys is for the JWKS of one thing of the configuration.
func newLeftOutKeys(log *slog.Logger, of string) *leftOutKeys {
	told, err := lru.New[string, struct{}](maxLeftOut)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &leftOutKeys{log, of, told}
}

// tell is for the keys of one fetch, or one reading of a file.
func (l *leftOutKeys) tell(jwks string, keys []verify.LeftOut) {
	lines := 0
	for _, k := range keys {
		if known, _ := l.told.ContainsOrAdd(fmt.Sprint(jwks, " ", k), struct{}{}); known {
			continue
		}
		leftOutCount.WithLabelValues(l.of).Inc()
		if lines++; lines > maxLeftOutLines {
			continue
		}
		log := l.log.With(slog.String("jwks", jwks), slog.String("kid", refusal.ForLog(k.KeyID)), slog.String("error", refusal.ForLog(k.Reason.Error())))
		if k.Certificates {
			log.Warn("ignores the certificates (x5c) of a key of a JWKS: they identify no client; uses the key itself")
		} else {
			log.Warn("ignores a key of a JWKS: no signature verifies with it")
		}
	}
	if more := lines - maxLeftOutLines; more > 0 {
		l.log.Warn("ignores more keys of a JWKS", slog.String("jwks", jwks), slog.Int("keys", more))
	}
}
