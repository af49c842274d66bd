package registry

import (
	"errors"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// A software statement of the Open Banking directory has no end: one of last year still
// verifies, with the roles and redirect URIs that the directory has taken away since. So
// a statement must not be older than the newest one that has registered or updated a
// client of its software. The directory may have given out a newer one that nobody has
// used here: that is not known.
//
// The newest iat moves only in the transaction that makes a registration or an update
// final, so that a refused one moves nothing. It is looked at in the first transaction,
// where nothing has begun yet, and in the last one once more, since a newer statement may
// have become final meanwhile: the AS's work is undone then.

// follows refuses a statement that is older than the newest one of its software.
func (s *software) follows(ws Workspace, statement *verify.SoftwareStatement) error {
	if ws.StatementRollback || !statementOf(statement) || statement.Issued.Unix() >= s.Issued {
		return nil
	}
	return refusal.New(refusal.InvalidSoftwareStatement, "statement_rollback",
		"software_statement: issued at %s, but this software has used one issued at %s since; fetch a new statement from the directory",
		stamp(statement.Issued.Unix()), stamp(s.Issued))
}

// advances makes the statement the newest one, in the transaction that makes final what
// came with it.
func (s *software) advances(w Writer, ws Workspace, statement *verify.SoftwareStatement) error {
	if err := s.follows(ws, statement); err != nil {
		return err
	}
	if !statementOf(statement) || statement.Issued.Unix() <= s.Issued {
		return nil // and the record stays as it is: most registrations come with the statement of the last one
	}
	s.Issued = statement.Issued.Unix()
	return s.put(w)
}

// follows refuses a change that comes with a statement older than the newest one, or with
// that of another directory whose software may have no more clients.
func (ch *change) follows(w Writer, c *Client) error {
	if ch.in.Request == nil {
		return nil
	}
	s, err := statementSoftware(ch.ws, ch.in.Request.Statement).read(w)
	if err != nil {
		return err
	}
	if s.name != c.software() {
		if err := s.admits(ch.ws); err != nil {
			return err
		}
	}
	return s.follows(ch.ws, ch.in.Request.Statement)
}

// advances makes the statement of a change the newest one. A client that a statement of
// another directory has updated is counted there from now on.
func (ch *change) advances(w Writer, before, after *Client) error {
	if ch.in.Request == nil {
		return nil
	}
	s, err := after.software().read(w)
	if err != nil {
		return err
	}
	if before.software() != after.software() {
		if err := s.admits(ch.ws); err != nil {
			return err
		}
		if err := before.leaves(w); err != nil {
			return err
		}
		s.Clients++
		if err := s.put(w); err != nil {
			return err
		}
	}
	return s.advances(w, ch.ws, ch.in.Request.Statement)
}

// statementSoftware is the software that a statement is about.
func statementSoftware(ws Workspace, s *verify.SoftwareStatement) softwareName {
	return softwareName{ws.Name, s.Issuer.Name, s.SoftwareID}
}

// statementOf tells whether a request came with a statement of which the issuer has said
// when it was issued: without statements (None) there is nothing to roll back.
func statementOf(s *verify.SoftwareStatement) bool { return s != nil && !s.Issued.IsZero() }

func stamp(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }

// isRefusal tells a transaction that has refused a request from one that failed: it has
// certainly written nothing.
func isRefusal(err error) bool { return errors.As(err, new(*refusal.Error)) }
