package page

import (
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// action is what an operator may do with a client. Name is the last part of the path, here and
// in the admin API.
type action struct {
	Name, Text string
	// Says is what happens, for the operator who is asked.
	Says string
	// Final: it cannot be undone.
	Final    bool
	possible func(*admin.Client) bool
}

var actions = []action{
	{Name: "approve", Text: "Approve", Says: "The client is registered from then on, and gets tokens.",
		possible: func(c *admin.Client) bool { return c.Status == registry.AwaitingApproval }},
	{Name: "refuse", Text: "Refuse", Final: true, Says: "The client is deleted, here and at the authorization server. The TPP must register anew.",
		possible: func(c *admin.Client) bool { return c.Status == registry.AwaitingApproval }},
	{Name: "suspend", Text: "Suspend", Says: "From now on the client gets no token, its access tokens are not introspected as active, and it cannot read, change or delete its registration, until somebody resumes it. Nothing is lost.",
		possible: func(c *admin.Client) bool { return registered(c) && !c.Suspended }},
	{Name: "resume", Text: "Resume", Says: "The suspension of this client ends. Where its software, organisation or directory is suspended, it stays so.",
		possible: func(c *admin.Client) bool { return registered(c) && c.Suspended }},
	{Name: "rotate_secret", Text: "Rotate the secret", Says: "The gateway gets a new secret for this client at the authorization server. The TPP notices nothing.",
		possible: func(c *admin.Client) bool { return c.Status == registry.Active && c.TokenEndpointAuth == "bridge" }},
	{Name: "delete", Text: "Delete", Final: true, Says: "The client is deleted, here and at the authorization server. Its tokens end. The TPP must register anew.",
		possible: registered},
}

func registered(c *admin.Client) bool {
	return c.Status == registry.Active || c.Status == registry.AwaitingApproval
}

// doneText is what the page of a client says after a change.
var doneText = map[string]string{
	"approve": "The client is approved.", "suspend": "The client is suspended.", "resume": "The client is resumed.",
	"rotate_secret": "The client has a new secret at the authorization server.",
	"proposed":      "Your proposal is recorded, and nothing is changed yet: another operator confirms it by doing the same.",
}

// changeView is the form that asks.
type changeView struct {
	Client admin.Client
	Action action
	Query  template.URL
	// Token is that of the form, Tag the entity tag of what the operator sees.
	Token, Tag string
	// Reason is what was typed before, Problem what was wrong with it.
	Reason, Problem string
}

// actionOf is the action in the path.
func (r *request) actionOf() (action, error) {
	for _, a := range actions {
		if a.Name == r.PathValue("action") {
			if !r.who.changes {
				return a, errViewer
			}
			return a, nil
		}
	}
	return action{}, errNoPage
}

// askChange draws the form: what will be done, and why.
func (r *request) askChange() error {
	a, err := r.actionOf()
	if err != nil {
		return err
	}
	return r.ask(http.StatusOK, a, "", "")
}

// ask draws the form with what was typed before.
func (r *request) ask(status int, a action, reason, problem string) error {
	c, tag, err := get[admin.Client](r.Context(), r.api, apiPath("clients", r.PathValue("client_id")), r.workspaceQuery())
	if err != nil {
		return err
	}
	if !a.possible(&c) && problem == "" {
		problem = "The client has changed: this cannot be done with it any more."
	}
	r.render(status, "change", view{Title: a.Text, Section: "clients", Data: changeView{
		Client: c, Action: a, Query: template.URL(url.Values{"workspace": {c.Workspace}}.Encode()), Token: r.server.forms.token(r.who, r.URL.Path), Tag: tag, Reason: reason, Problem: problem,
	}})
	return nil
}

// change makes a change, if the client is still what the operator has seen.
func (r *request) change() error {
	a, err := r.actionOf()
	if err != nil {
		return err
	}
	ours, err := r.form()
	if err != nil {
		return err
	}
	reason := strings.TrimSpace(r.PostForm.Get("reason"))
	switch {
	case !ours:
		return r.ask(http.StatusForbidden, a, reason, "This form was too old. Nothing was changed; look at the client, and send it again.")
	case reason == "":
		return r.ask(http.StatusUnprocessableEntity, a, "", "Write a reason: it is kept in the audit trail.")
	}
	answer, err := r.api.Call(r.Context(), Call{
		Method: http.MethodPost, Path: apiPath("clients", r.PathValue("client_id"), a.Name), Query: r.workspaceQuery(), Reason: reason, Match: r.PostForm.Get("tag"),
	})
	switch {
	case refusedWith(err, http.StatusPreconditionFailed):
		return r.ask(http.StatusConflict, a, reason, "The client has changed since you opened this form. Nothing was done; this is how it is now.")
	case refusedWith(err, http.StatusBadRequest), refusedWith(err, http.StatusConflict), refusedWith(err, http.StatusForbidden), refusedWith(err, http.StatusServiceUnavailable):
		return r.ask(http.StatusConflict, a, reason, err.Error())
	case err != nil:
		return err
	}
	r.redirect(answer, a)
	return nil
}

// redirect leads to what is there after a change.
func (r *request) redirect(answer *Answer, a action) {
	to := r.root + "/clients"
	if gone := len(answer.Body) == 0 || a.Name == "delete" || a.Name == "refuse"; !gone || answer.Status == http.StatusAccepted {
		query := url.Values{"done": {a.Name}}
		if answer.Status == http.StatusAccepted {
			query.Set("done", "proposed")
		}
		if workspace := r.URL.Query().Get("workspace"); workspace != "" {
			query.Set("workspace", workspace)
		}
		to += "/" + apiPath(r.PathValue("client_id")) + "?" + query.Encode()
	}
	http.Redirect(r.w, r.Request, to, http.StatusSeeOther)
}
