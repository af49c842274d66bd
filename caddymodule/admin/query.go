package admin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// What a call was asked. Whatever is not understood is an error and never left out: a
// list without its filter, or a secret that is changed for every client, passes for what
// was meant.

// parse reads the parameters of a call, and that a body comes only where one is taken.
func (c *call) parse(takesBody bool) error {
	// r.URL.Query() leaves out what it cannot read, a=b;c for instance.
	parsed, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return badRequest("the query cannot be read: %w; percent-encode the values (curl --get --data-urlencode)", err)
	}
	c.parameters = map[string]string{}
	for name, values := range parsed {
		if len(values) != 1 {
			return badRequest("%s: more than once", name)
		}
		c.parameters[name] = values[0]
	}
	if takesBody || c.r.Body == nil {
		return nil
	}
	if n, _ := io.ReadFull(c.r.Body, make([]byte, 1)); n > 0 {
		return badRequest("this call takes no body; its parameters are in the query")
	}
	return nil
}

// query takes exactly the parameters that a call has; those of need must be there, and
// none may be empty.
func (c *call) query(need []string, may ...string) (map[string]string, error) {
	for name := range c.parameters {
		if !slices.Contains(need, name) && !slices.Contains(may, name) {
			return nil, badRequest("unknown parameter %q", name)
		}
	}
	for _, name := range need {
		if c.parameters[name] == "" {
			return nil, badRequest("%s is missing", name)
		}
	}
	for name, value := range c.parameters {
		if value == "" {
			return nil, badRequest("%s: empty; give it a value, or leave it out", name)
		}
	}
	return c.parameters, nil
}

// maxBody is more than a suspension can have.
const maxBody = 16 << 10

// body is a JSON object with no other members than these, each a text. Nothing may come
// after it, and no member twice.
func (c *call) body(names ...string) (map[string]string, error) {
	shape := `{"` + strings.Join(names, `","`) + `"}`
	data, err := io.ReadAll(http.MaxBytesReader(nil, c.r.Body, maxBody))
	if err != nil {
		return nil, badRequest("the body must be %s: %w", shape, err)
	}
	object, err := strictjson.Parse(data)
	if err != nil {
		return nil, badRequest("the body must be %s: %w", shape, err)
	}
	values := map[string]string{}
	for _, m := range object.Members() {
		if !slices.Contains(names, m.Name) {
			return nil, badRequest("the body must be %s: unknown field %q", shape, m.Name)
		}
		if values[m.Name], _, err = object.String(m.Name); err != nil {
			return nil, badRequest("the body must be %s: %s %w", shape, m.Name, err)
		}
	}
	return values, nil
}

// configured refuses a workspace that is not there: a slip of the pen, which must not
// pass for work that is done, or for a list that is empty.
func (c *call) configured(workspace string) error {
	if names := c.app.Workspaces(); !slices.Contains(names, workspace) {
		return fmt.Errorf("%w: workspace %q; there are %s", registry.ErrNotFound, workspace, strings.Join(names, ", "))
	}
	return nil
}

// filter refuses a workspace that is not there, where a call may be of one.
func (c *call) filter() error {
	if workspace := c.parameters["workspace"]; workspace != "" {
		return c.configured(workspace)
	}
	return nil
}

// absent says which workspaces there are where what was not found is of one that is not
// configured. What such a workspace has left can still be taken away.
func (c *call) absent(err error) error {
	if !errors.Is(err, registry.ErrNotFound) {
		return err
	}
	return errors.Join(err, c.filter())
}

// Limits of a page.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

func limit(text string) (int, error) {
	if text == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, badRequest("limit: a number from 1 to %d", maxLimit)
	}
	return n, nil
}
