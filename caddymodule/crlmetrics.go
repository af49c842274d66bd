package caddymodule

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/verify/crl"
)

var (
	crlCurrent = prometheus.NewDesc("caddy_openbanking_dcr_crl_current",
		"1 while the gateway has a CRL from this file or URL that is not past its nextUpdate, else 0.", []string{"workspace", "crl"}, nil)
	crlAge = prometheus.NewDesc("caddy_openbanking_dcr_crl_age_seconds",
		"Time since the CA issued the CRL in use (thisUpdate).", []string{"workspace", "crl"}, nil)
	crlNextUpdate = prometheus.NewDesc("caddy_openbanking_dcr_crl_next_update_timestamp_seconds",
		"When the CRL in use expires (nextUpdate).", []string{"workspace", "crl"}, nil)
)

// collectCRLs tells of the lists. Where one is named twice, it is told of once.
func (a *App) collectCRLs(to chan<- prometheus.Metric) {
	for _, h := range a.workspaces {
		if h.crls == nil {
			continue
		}
		told := map[string]bool{}
		for _, s := range h.crls.States() {
			if !told[s.From] {
				collectCRL(to, h.Workspace, s, h.now())
			}
			told[s.From] = true
		}
	}
}

func collectCRL(to chan<- prometheus.Metric, workspace string, s crl.State, now time.Time) {
	gauge := func(d *prometheus.Desc, value float64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, workspace, s.From)
	}
	gauge(crlCurrent, oneIf(s.Current))
	if !s.Held {
		return
	}
	gauge(crlAge, now.Sub(s.ThisUpdate).Seconds())
	if !s.NextUpdate.IsZero() {
		gauge(crlNextUpdate, float64(s.NextUpdate.Unix()))
	}
}
