package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A bank may want two operators for a change that gives a TPP something back, or that cannot be
// undone. The first one proposes it, and another one confirms it with the same call, of the same
// state (entity tag). A proposal ends by itself, and with the state that it was for: nobody has
// to withdraw it.

// The changes for which two operators may be demanded.
const (
	FourEyesDelete  = "delete"
	FourEyesResume  = "resume"
	FourEyesApprove = "approve"
)

// FourEyesActions are all of them.
var FourEyesActions = []string{FourEyesDelete, FourEyesResume, FourEyesApprove}

// ProposalOfImport is the Kind of a Proposal that is about an import: Value is its ID, and
// Workspace empty.
const ProposalOfImport = "import"

// ProposalLasts is how long another operator may confirm a proposal.
const ProposalLasts = 24 * time.Hour

var (
	// ErrNotAuthenticated is that of a change that needs two operators, by one whose name is not proven.
	ErrNotAuthenticated = errors.New("this change needs two operators (four_eyes), and a name that is only declared counts for none; configure Caddy's remote admin endpoint (admin.identity, and admin.remote.access_control with a public key for each operator), and make the call there, with your certificate")
	// ErrSameOperator is that of a confirmation by the one who has proposed the change.
	ErrSameOperator = errors.New("you have proposed this change yourself (four_eyes): another operator must make the same call, with the same If-Match")
)

// Proposal is a change that one operator wants, and another one has to confirm.
type Proposal struct {
	Schema    int    `json:"v"`
	Workspace string `json:"workspace"`
	// Action is one of FourEyesActions; Kind one of SuspensionKinds or ProposalOfImport, and Value
	// the id of what is to be changed.
	Action string `json:"action"`
	Kind   string `json:"kind"`
	Value  string `json:"value"`
	// Operator is who, Reason why.
	Operator Operator `json:"operator"`
	Reason   string   `json:"reason"`
	// At is when, Until when the proposal ends, seconds since 1970.
	At    int64 `json:"at"`
	Until int64 `json:"until"`
	// Tag is the entity tag of the state that it is for.
	Tag string `json:"etag"`
}

// Proposed is what an AuditEntry has of the operator who has proposed a change.
type Proposed struct {
	Operator Operator `json:"operator"`
	Reason   string   `json:"reason"`
	// At is seconds since 1970.
	At int64 `json:"at"`
}

func (p *Proposal) key() string { return key("proposal", p.Workspace, p.Action, p.Kind, p.Value) }

func (p *Proposal) suspension() *Suspension {
	return &Suspension{Workspace: p.Workspace, Kind: p.Kind, Value: p.Value}
}

// Propose is the beginning of a change that needs two operators: p names it, and act is that of
// the one who makes the call. Where another operator has proposed the same change of the same
// state, confirmed is the act to make it with, and proposal is nil. Otherwise nothing may be
// changed, and proposal is the one that waits from now on.
//
// Errors: ErrNotAuthenticated, ErrSameOperator, ErrNotFound, ErrNotAwaiting, ErrChanged.
func (r *Registry) Propose(ctx context.Context, p Proposal, act Act) (confirmed Act, proposal *Proposal, err error) {
	if err := p.check(); err != nil {
		return act, nil, err
	}
	switch {
	case !act.Operator.Authenticated():
		return act, nil, ErrNotAuthenticated
	case act.Match == "":
		return act, nil, ErrChanged // nobody has looked
	}
	now := r.now()
	p.Schema, p.Operator, p.Reason, p.At, p.Until, p.Tag = schema, act.Operator, act.Reason, now.Unix(), now.Add(ProposalLasts).Unix(), act.Match
	err = r.store.Update(ctx, func(w Writer) error {
		confirmed, proposal = act, &p
		if err := p.possible(w); err != nil {
			return err
		}
		if err := p.seen(w, act); err != nil {
			return err
		}
		before, err := readProposal(w, p.key())
		switch {
		case err != nil:
			return err
		case before == nil || before.Tag != p.Tag || now.Unix() >= before.Until:
			return putExpiringRecord(w, p.key(), &p, time.Unix(p.Until, 0))
		case before.Operator.sameAs(act.Operator):
			return ErrSameOperator
		}
		confirmed.Proposed = &Proposed{Operator: before.Operator, Reason: before.Reason, At: before.At}
		confirmed.confirms, proposal = before, nil
		return nil
	})
	if err != nil {
		return act, nil, err
	}
	return confirmed, proposal, nil
}

func (p *Proposal) check() error {
	if p.Kind == ProposalOfImport {
		return checkFourEyes(p.Action)
	}
	return errors.Join(p.suspension().Check(), checkFourEyes(p.Action))
}

// CheckFourEyes tells what is wrong with the actions for which two operators are demanded.
func CheckFourEyes(actions []string) error {
	if actions != nil && len(actions) == 0 {
		return fmt.Errorf("four_eyes: name one or more of %s, or leave it out", strings.Join(FourEyesActions, ", "))
	}
	for i, action := range actions {
		if err := checkFourEyes(action); err != nil {
			return err
		}
		if slices.Contains(actions[:i], action) {
			return fmt.Errorf("four_eyes: %s is there twice", action)
		}
	}
	return nil
}

func checkFourEyes(action string) error {
	if !slices.Contains(FourEyesActions, action) {
		return fmt.Errorf("four_eyes: %q must be one of %s", action, strings.Join(FourEyesActions, ", "))
	}
	return nil
}

// possible refuses the proposal of what could not be done.
func (p *Proposal) possible(r getter) error {
	if p.Kind == ProposalOfImport {
		_, err := readImport(r, p.Value)
		return err
	}
	if p.Action == FourEyesResume {
		if err := p.suspension().exists(r); err != nil {
			return err
		}
	}
	if p.Kind != SuspendClient {
		return nil
	}
	c, err := findClient(r, p.Workspace, p.Value)
	if err == nil && (c.Status == Deleted || c.Status == Deleting) {
		err = fmt.Errorf("%w: this client was deleted", ErrNotFound)
	}
	if err == nil && p.Action == FourEyesApprove && c.Status != AwaitingApproval {
		err = ErrNotAwaiting
	}
	return err
}

// seen refuses a proposal by an operator who has seen another state.
func (p *Proposal) seen(r getter, act Act) error {
	if p.Kind == ProposalOfImport {
		return act.matches(r, importKey(p.Value))
	}
	keys, err := p.suspension().tagged(r)
	if err != nil {
		return err
	}
	return act.matches(r, keys...)
}

// readProposal is what is under a key, nil for nothing.
func readProposal(r getter, key string) (*Proposal, error) {
	list, err := records[Proposal](r, []string{key})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	if list[0].Schema > schema {
		return nil, fmt.Errorf("registry: proposal of schema %d, this version knows %d: run the newer version", list[0].Schema, schema)
	}
	return &list[0], nil
}

// confirm ends the proposal that a change confirms, in the transaction that makes the change.
func (a *Act) confirm(w Writer) error {
	if a.confirms == nil {
		return nil
	}
	now, err := readProposal(w, a.confirms.key())
	switch {
	case err != nil:
		return err
	case now == nil || *now != *a.confirms: // somebody else has confirmed it
		return ErrChanged
	}
	return w.Delete(now.key())
}

// proposals are those that wait for what s is about, of the state that has this entity tag.
func (r *Registry) proposals(v getter, s *Suspension, tag string) (list []Proposal, err error) {
	for _, action := range FourEyesActions {
		p, err := readProposal(v, (&Proposal{Workspace: s.Workspace, Action: action, Kind: s.Kind, Value: s.Value}).key())
		if err != nil {
			return nil, err
		}
		if p != nil && p.Tag == tag && r.now().Unix() < p.Until {
			list = append(list, *p)
		}
	}
	return list, nil
}

// Proposals are the changes that wait for another operator: Workspace, Kind and Value of s name
// what is to be changed.
func (r *Registry) Proposals(ctx context.Context, s Suspension) (list []Proposal, err error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	err = r.store.View(ctx, func(v Reader) error {
		keys, err := s.tagged(v)
		if err != nil {
			return err
		}
		tag, err := entityTag(v, keys...)
		if err != nil {
			return err
		}
		list, err = r.proposals(v, &s, tag)
		return err
	})
	return list, err
}

// ImportProposals are the changes of an import that wait for another operator.
func (r *Registry) ImportProposals(ctx context.Context, id string) (list []Proposal, err error) {
	err = r.store.View(ctx, func(v Reader) error {
		tag, err := entityTag(v, importKey(id))
		if err != nil {
			return err
		}
		list, err = r.proposals(v, &Suspension{Kind: ProposalOfImport, Value: id}, tag)
		return err
	})
	return list, err
}
