package verify

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// The rows of CIBA. They are there exactly when the grant is, and in versions
// without it they are unknown claims like any other.

// backchannel reads whether the rows of CIBA count at all, and whether the
// claim may be there.
func (e *evaluation) backchannel(claim string) (asked, has bool, err error) {
	if len(e.Supported.BackchannelModes) == 0 {
		return false, false, nil
	}
	asked, has = slices.Contains(e.out.Metadata.GrantTypes, GrantCIBA), e.claims.Has(claim)
	if has && !asked {
		return false, true, fmt.Errorf("only goes with the grant type %s; ask for that, or leave the claim out", GrantCIBA)
	}
	return asked, has, nil
}

func checkBackchannelMode(e *evaluation) error {
	const claim = "backchannel_token_delivery_mode"
	asked, _, err := e.backchannel(claim)
	if err == nil && asked {
		e.out.Metadata.BackchannelMode, err = requiredOneOf(e.claims, claim, e.Supported.BackchannelModes)
	}
	return err
}

func checkBackchannelEndpoint(e *evaluation) error {
	const claim = "backchannel_client_notification_endpoint"
	asked, has, err := e.backchannel(claim)
	mode := e.out.Metadata.BackchannelMode
	switch {
	case err != nil || !asked:
		return err
	case mode == "poll" && has:
		return errors.New("nothing is sent to it with backchannel_token_delivery_mode poll; leave it out")
	case mode == "poll":
		return nil
	case !has:
		return fmt.Errorf("missing; backchannel_token_delivery_mode %s needs an https URL", mode)
	}
	uri, _, err := e.claims.String(claim)
	if err != nil {
		return err
	}
	host, err := publicURI(uri)
	switch {
	case err != nil:
		return fmt.Errorf("%s %w", refusal.Quote(uri), err)
	case !strings.Contains(host, ".") || innerName.MatchString(host):
		return fmt.Errorf("%s has a host that only an inner network knows; send a public https URL", refusal.Quote(uri))
	}
	e.out.Metadata.BackchannelEndpoint = uri
	return nil
}

// innerName are names that no public DNS has (RFC 6762, RFC 8375, ICANN's
// .internal): the AS, which will call the endpoint, may know them.
var innerName = regexp.MustCompile(`\.(?:local|localdomain|internal|intranet|lan|home\.arpa|svc|cluster)$`)

func checkBackchannelAlg(e *evaluation) error {
	const claim = "backchannel_authentication_request_signing_alg"
	asked, _, err := e.backchannel(claim)
	if err == nil && asked {
		e.out.Metadata.BackchannelAlg, err = requiredOneOf(e.claims, claim, e.Supported.BackchannelAlgs)
	}
	return err
}

func checkBackchannelUserCode(e *evaluation) error {
	const claim = "backchannel_user_code_parameter_supported"
	asked, has, err := e.backchannel(claim)
	if err != nil || !asked || !has {
		return err
	}
	v, _, err := e.claims.Bool(claim)
	if err == nil && v {
		err = errors.New("true is not accepted; send false, or leave it out")
	}
	if err == nil {
		e.out.Metadata.BackchannelUserCode = &v
	}
	return err
}
