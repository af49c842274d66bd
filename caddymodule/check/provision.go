package check

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
)

// Provision is the app of a configuration in JSON that is loaded and not started. storage
// is the folder that Caddy may write to.
func Provision(text []byte, storage string) (*caddymodule.App, error) {
	var c caddy.Config
	err := caddy.StrictUnmarshalJSON(text, &c)
	if err != nil {
		return nil, err
	}
	// Caddy's own authority makes its keys when it is provisioned: not in the storage of
	// a gateway that may be running.
	if c.StorageRaw, err = json.Marshal(map[string]string{"module": "file_system", "root": storage}); err != nil {
		return nil, err
	}
	// What a server says while it starts is not what was asked for.
	c.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}}}}
	ctx, err := caddy.ProvisionContext(&c)
	if err != nil {
		return nil, err
	}
	app, err := ctx.AppIfConfigured("openbanking_dcr")
	if err != nil {
		return nil, errors.New("no site of the configuration has the directive openbanking_dcr")
	}
	return app.(*caddymodule.App), nil
}

// quiet is a configuration in which nothing that Caddy does while it loads one goes over
// the network or into a running server's files: active health checks of reverse_proxy,
// OCSP for certificates in files, the database of acme_server and, unless live, roots that
// are fetched. In the place of these is one that nobody's certificate is of.
func quiet(text []byte, live bool) ([]byte, error) {
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	nobody, err := nobodysRoot()
	if err != nil {
		return nil, err
	}
	walk(tree, "", nil, func(_ string, o map[string]any, _ []map[string]any) {
		if checks, ok := o["health_checks"].(map[string]any); ok && o["handler"] == "reverse_proxy" {
			delete(checks, "active")
		}
		if o["handler"] == "acme_server" {
			clear(o)
			o["handler"] = "vars" // which answers and sends nothing either
		}
		if fetched(o) && !live {
			clear(o)
			o["provider"], o["trusted_ca_certs"] = "inline", []string{nobody}
		}
	})
	if apps, ok := tree["apps"].(map[string]any); ok {
		tls, ok := apps["tls"].(map[string]any)
		if !ok {
			tls = map[string]any{}
			apps["tls"] = tls
		}
		tls["disable_ocsp_stapling"] = true
	}
	return json.Marshal(tree)
}

// fetched tells whether an object is a trust_pool http.
func fetched(o map[string]any) bool { return o["provider"] == "http" && o["endpoints"] != nil }

// nobodysRoot is a new certificate, whose key is thrown away.
func nobodysRoot() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return base64.StdEncoding.EncodeToString(der), err
}
