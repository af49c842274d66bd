// Package openidclient is a third-party provider that others wrote: it runs the
// npm package openid-client in a process of its own. It shares no code with the
// gateway, nor with package tpp, and reads answers more strictly than that does.
package openidclient

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// runWithin bounds all steps together: they take a second or two.
const runWithin = time.Minute

// Input is what the TPP knows before it registers.
type Input struct {
	// Issuer is the URL of the AS at the gateway.
	Issuer string
	// Roots is the PEM file that servers are verified with.
	Roots string
	// Software is who registers. Its first redirect URI is the one that stays after
	// the update.
	Software *tpp.Software
	// RegistrationToken is a dcr_register access token, good for one registration.
	RegistrationToken string
	// AuthMethod is tls_client_auth or private_key_jwt.
	AuthMethod string
	// Scope is registered, and asked for.
	Scope string
	// ResponseTypes are registered, the first is asked for. Default: code id_token.
	ResponseTypes []string
	// TokenScope is what the first token is asked for with. Default: no scope at all.
	TokenScope string
	// DirectOrigin is where the AS takes certificates itself. Default: clients
	// authenticate through the gateway.
	DirectOrigin string
	// PlainRequests are authorization requests without a signed request object, for an
	// AS that does not fetch the software's keys.
	PlainRequests bool
}

// Step is how one step went.
type Step struct {
	Name string `json:"step"`
	// OK says that it went as expected; some steps expect a refusal.
	OK bool `json:"ok"`
	// Status is the HTTP status of the step's last answer, 0 without one.
	Status int `json:"status"`
	// Detail is for people.
	Detail string `json:"detail"`
}

// Run goes through all steps of tpp.mjs and returns how they went. The error is
// about the one that did not go as expected, which is then the last, or about the
// process.
func Run(ctx context.Context, input Input) ([]Step, error) {
	dir, err := packageDir()
	if err != nil {
		return nil, err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, err
	}
	files, err := os.MkdirTemp("", "openidclient-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(files)
	document, err := input.document(files)
	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithTimeout(ctx, runWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, filepath.Join(dir, "tpp.mjs"))
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(document), &stdout, &stderr
	ran := cmd.Run()
	if ran != nil && ctx.Err() != nil {
		ran = context.Cause(ctx) // says more than "signal: killed"
	}
	steps, err := readSteps(&stdout)
	if n := len(steps); n > 0 && !steps[n-1].OK {
		err = errors.Join(fmt.Errorf("%s: status %d: %s", steps[n-1].Name, steps[n-1].Status, steps[n-1].Detail), err)
	}
	if err = errors.Join(ran, err); err != nil {
		return steps, fmt.Errorf("openid-client: %w\n%s", err, stderr.Bytes())
	}
	return steps, nil
}

// packageDir is the folder of tpp.mjs, with its packages.
func packageDir() (string, error) {
	dir := filepath.Join(checkout.Root(), "integration", "openidclient")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "openid-client")); err != nil {
		return "", fmt.Errorf("the packages of %s are not installed: run 'npm ci' there", dir)
	}
	return dir, nil
}

// document is what tpp.mjs reads. The keys are secret: that of the certificate is
// in a file of 0600, the other in the document, which is never one.
func (i *Input) document(dir string) ([]byte, error) {
	certificate, key, err := directory.WriteCertificate(dir, "transport", i.Software.Transport)
	if err != nil {
		return nil, err
	}
	signing, err := x509.MarshalPKCS8PrivateKey(i.Software.Signing.Private)
	if err != nil {
		return nil, err
	}
	statement, err := i.Software.Statement(nil)
	if err != nil {
		return nil, err
	}
	types := i.ResponseTypes
	if len(types) == 0 {
		types = []string{"code id_token"}
	}
	return json.Marshal(map[string]any{
		"issuer": i.Issuer, "ca_file": i.Roots, "transport_certificate_file": certificate, "transport_key_file": key,
		"signing_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: signing})),
		"signing_kid": i.Software.Signing.ID, "signing_alg": i.Software.Signing.Algorithm,
		"software_statement": statement, "software_id": i.Software.SoftwareID, "audience": i.Software.Audience,
		"registration_token": i.RegistrationToken, "auth_method": i.AuthMethod,
		"redirect_uris": i.Software.RedirectURIs, "scope": i.Scope,
		"response_types": types, "token_scope": i.TokenScope, "sign_requests": !i.PlainRequests, "direct_origin": i.DirectOrigin,
	})
}

func readSteps(r io.Reader) ([]Step, error) {
	var steps []Step
	for lines := json.NewDecoder(r); ; {
		var step Step
		if err := lines.Decode(&step); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return steps, err
		}
		steps = append(steps, step)
	}
}
