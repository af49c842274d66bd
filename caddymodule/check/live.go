package check

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/verify/crl"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// What only the servers can tell. Each is asked once, and nothing is changed there.

// answers are those of a workspace's servers.
type answers struct {
	*caddymodule.Inspection
	of     *workspace
	trials []caddymodule.Trial
	// apart is how far the AS's clock is from this one, where it said.
	apart time.Duration
	dated bool
	lists []crl.State
}

// askTimeout is what one question may take that the gateway itself does not ask.
const askTimeout = 10 * time.Second

// ask asks all servers, until end.
func (i *inspection) ask() (end func(), err error) {
	inspections, end, err := i.app.Inspect(i.ctx)
	if err != nil {
		return nil, err
	}
	for _, one := range inspections {
		a := &answers{Inspection: one}
		for _, w := range i.workspaces {
			if w.Workspace == one.Workspace {
				a.of = w
			}
		}
		if i.Progress != nil {
			i.Progress("the servers of workspace " + one.Workspace)
		}
		a.trials = one.Try(i.ctx)
		a.lists = one.RevocationLists(i.ctx)
		a.readClock(i.ctx)
		i.servers = append(i.servers, a)
	}
	return end, nil
}

// document is the address of the AS's discovery document.
func (a *answers) document() string {
	return strings.TrimSuffix(a.of.AuthorizationServer.URL, "/") + "/.well-known/openid-configuration"
}

// readClock compares the Date of an answer (RFC 9110 6.6.1) with the middle of the exchange.
func (a *answers) readClock(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.document(), nil)
	if err != nil {
		return
	}
	before := time.Now()
	res, err := a.Server.Client.Do(r)
	if err != nil {
		return
	}
	at, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return
	}
	now := before.Add(time.Since(before) / 2)
	a.apart, a.dated = at.Add(time.Second/2).Sub(now), true // a Date has whole seconds
}

// inAnswers has a check look at the answers of each workspace.
func inAnswers(look func(*inspection, *answers)) func(*inspection) {
	return func(i *inspection) {
		for _, a := range i.servers {
			look(i, a)
		}
	}
}

func (i *inspection) aboutServer(a *answers, found, why, write string, details ...string) {
	i.foundIn(a.of, "authorization_server", "authorization_server", found, why, write, details...)
}

func serverUnusable(i *inspection, a *answers) {
	for _, t := range a.trials {
		if t.Kind == "authorization_server" && t.Err != nil && len(t.Lacks) == 0 {
			i.aboutServer(a, "the discovery document cannot be used: "+shown(t.Err), "Without it the gateway answers 503 to every request of the site.", t.Cure, t.URL)
		}
	}
}

// maxShown is how much of an error is shown, in bytes: it may have words of a server.
const maxShown = 400

// shown is an error of an exchange.
func shown(err error) string {
	var r *refusal.Error
	if cause := errors.Unwrap(err); errors.As(err, &r) && cause != nil {
		err = cause
	}
	text := err.Error()
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "..."
	}
	return text
}

// lacking has a check report what the document lacks under a name of its own, or what
// registrations need ("").
func lacking(name, found, why string) func(*inspection) {
	return inAnswers(func(i *inspection, a *answers) {
		var details, cures []string
		for _, t := range a.trials {
			for _, l := range t.Lacks {
				if l.Check == name {
					details = append(details, l.What)
					if !slices.Contains(cures, l.Cure) {
						cures = append(cures, l.Cure)
					}
				}
			}
		}
		if len(details) > 0 {
			i.aboutServer(a, found, why, strings.Join(cures, "; "), details...)
		}
	})
}

// falling has a check report what of the configuration comes to nothing at this server.
func falling(why string) func(*inspection) {
	return inAnswers(func(i *inspection, a *answers) {
		if a.Metadata == nil {
			return
		}
		for _, s := range a.Metadata.Shortcomings {
			if s.Check == i.check.Name {
				i.aboutServer(a, s.What, why, s.Cure, s.Scopes...)
			}
		}
	})
}

func endpointsMissing(i *inspection, a *answers) {
	if a.Metadata == nil {
		return
	}
	var missing []string
	for _, name := range []string{"token_endpoint", "authorization_endpoint", "jwks_uri"} {
		if a.Metadata.Path(name) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		i.aboutServer(a, "the discovery document lacks endpoints of the server's own origin", "Clients register, and then cannot get or use tokens.", "have the authorization server name them in its discovery document", missing...)
	}
}

func endpointsForeign(i *inspection, a *answers) {
	if a.Metadata != nil && len(a.Metadata.Foreign) > 0 {
		i.aboutServer(a, "the discovery document names endpoints of other origins", "The gateway does not guard them: suspended clients go on there.", "give them addresses under the issuer's host, through this gateway", a.Metadata.Foreign...)
	}
}

func clientRefused(i *inspection, a *answers) {
	for _, t := range a.trials {
		if t.Kind == "client" && t.Err != nil {
			i.aboutServer(a, "the authorization server does not accept the gateway's client "+refusal.Quote(t.Of)+": "+shown(t.Err), "Access tokens are not checked, or used registration tokens stay valid.", t.Cure, t.URL)
		}
	}
}

// clockTolerance is how far two clocks may be apart before tokens are refused for it.
const clockTolerance = 30 * time.Second

func clockApart(i *inspection, a *answers) {
	if a.dated && a.apart.Abs() > clockTolerance {
		i.aboutServer(a, fmt.Sprintf("the clocks of this machine and of the authorization server are %v apart", a.apart.Abs().Round(time.Second)), "Requests, assertions and tokens seem to be expired, or not valid yet.", "run a time service (chrony, systemd-timesyncd) on both machines")
	}
}

func serverCertificateExpiring(i *inspection, a *answers) {
	u, err := url.Parse(a.of.AuthorizationServer.URL)
	if err != nil || a.of.AuthorizationServer.Proxy != nil {
		return
	}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "443")
	}
	ctx, cancel := context.WithTimeout(i.ctx, askTimeout)
	defer cancel()
	// It is only looked at: as-unusable says whether it verifies.
	dialer := tls.Dialer{Config: &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer conn.Close()
	c := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
	if i.ending(c, soon) || i.expired(c) {
		i.aboutServer(a, "the authorization server's certificate ends within 30 days: "+described(c), "From that day on nothing works but revoking and reading what is cached.", "renew the certificate of the authorization server")
	}
}

// asExposed is the check that needs Options.Outside.
const asExposed = "as-exposed"

// serverExposed asks for the discovery document as somebody outside would who knows the
// authorization server's address.
func serverExposed(i *inspection, a *answers) {
	u, err := url.Parse(a.document())
	if err != nil {
		return
	}
	host := u.Host
	u.Host = i.Outside
	ctx, cancel := context.WithTimeout(i.ctx, askTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return
	}
	r.Host = host
	// Whoever answers there: it is told nothing. One that sends elsewhere does not answer.
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{ServerName: hostOf(a.document()), InsecureSkipVerify: true}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(r)
	if err != nil {
		return
	}
	defer res.Body.Close()
	var document struct {
		Issuer string `json:"issuer"`
	}
	if json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&document) != nil || document.Issuer == "" {
		return
	}
	i.aboutServer(a, "the authorization server answers at "+i.Outside+" to a request that did not pass the gateway", "Whoever reaches it there can send the certificate header of any client, and register without any check.", "let only the gateway's machine reach it, or have it refuse requests without shared_header or the gateway's certificate", "issuer "+refusal.Quote(document.Issuer))
}

func directoryUnusable(i *inspection, a *answers) {
	for _, t := range a.trials {
		if t.Kind == "directory" && t.Err != nil {
			i.foundIn(a.of, t.Of, "", "the keys at a jwks_uri cannot be used: "+shown(t.Err), "No software statement of this directory can be verified, and nobody of it can register.", t.Cure, t.URL)
		}
	}
}

func listUnusable(i *inspection, a *answers) {
	for _, l := range a.lists {
		if !l.Current {
			i.foundIn(a.of, "crl", "crl", "there is no current revocation list at "+l.From, "With crl_mode strict every TPP of that CA gets 503; without it, nobody knows which certificates were revoked.", "let this machine reach the address, or ask the CA for a new list")
		}
	}
}

func nameUnresolved(i *inspection, w *workspace) {
	for _, host := range w.hosts {
		if strings.ContainsAny(host, "*{") {
			continue
		}
		ctx, cancel := context.WithTimeout(i.ctx, askTimeout)
		if _, err := net.DefaultResolver.LookupHost(ctx, host); err != nil {
			i.foundIn(w, "the site's address", "", "the name "+host+" does not resolve on this machine", "If it does not resolve for others either, no TPP finds the bank.", "add the name to the public DNS")
		}
		cancel()
	}
}
