package check

import (
	"fmt"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
)

// The directories whose software statements are accepted.

func organisationStatusAny(i *inspection, w *workspace) {
	eachDirectory(w, func(s *caddymodule.SoftwareStatement, name, member string) {
		if len(s.OrgStatus) == 0 && !s.SelfSigned {
			i.foundIn(w, name, member, "statements of organisations with any status are accepted",
				"A directory also issues statements that say org_status Revoked or Withdrawn.", "write org_status Active in the block")
		}
	})
}

func softwareModeAny(i *inspection, w *workspace) {
	eachDirectory(w, func(s *caddymodule.SoftwareStatement, name, member string) {
		if len(s.SoftwareMode) == 0 && !s.SelfSigned {
			i.foundIn(w, name, member, "statements of software in any mode are accepted",
				"Software that is registered for tests (software_mode Test) can become a client of production.", "write software_mode Live in the block where the directory sets it")
		}
	})
}

func statementAgeUnlimited(i *inspection, w *workspace) {
	eachDirectory(w, func(s *caddymodule.SoftwareStatement, name, member string) {
		if s.MaxAge == 0 {
			i.foundIn(w, name, member, "statements of any age are accepted",
				"An old statement that this gateway has seen no newer one of may have roles that the directory has taken away since.", "write max_age <duration> in the block where TPPs can get new statements")
		}
	})
}

func unsignedStatements(i *inspection, w *workspace) {
	eachDirectory(w, func(s *caddymodule.SoftwareStatement, name, member string) {
		if s.Unsigned {
			i.foundIn(w, name, member, "statements without a signature are accepted",
				"Nobody but the sender vouches for what such a statement says.", "take unsigned away; keep self_signed, with org_id")
		}
	})
}

func privateDirectory(i *inspection, w *workspace) {
	eachDirectory(w, func(s *caddymodule.SoftwareStatement, name, member string) {
		if s.PrivateAddresses {
			i.foundIn(w, name, member, "keys may be fetched from loopback and private addresses",
				"Statements name addresses that the gateway fetches. With this option they can name servers inside the bank. It is for test directories.", "take private_addresses away")
		}
	})
}

// eachDirectory visits each software_statement with its name and its member.
func eachDirectory(w *workspace, visit func(s *caddymodule.SoftwareStatement, name, member string)) {
	for n, s := range w.SoftwareStatements {
		if s != nil {
			visit(s, fmt.Sprintf("software_statement %q", s.Issuer), fmt.Sprintf("software_statements/%d", n))
		}
	}
}
