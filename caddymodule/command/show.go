package command

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

// showing are the flags of every command that shows one resource.
type showing struct {
	runningGateway
	// workspace has a flag where the command adds it.
	workspace string
	json      bool
}

func (s *showing) flags(c *cobra.Command) {
	s.runningGateway.flags(c)
	jsonFlag(c, &s.json)
}

// run shows the resource at a path.
func (s *showing) run(c *cobra.Command, path string, show func(out io.Writer, resource json.RawMessage, tag string) error) error {
	api, err := s.open()
	if err != nil {
		return err
	}
	q := url.Values{}
	if s.workspace != "" {
		q.Set("workspace", s.workspace)
	}
	answer, err := api.do(c.Context(), apiCall{method: http.MethodGet, path: path, query: q})
	switch {
	case err != nil:
		return err
	case s.json:
		return printDocument(c.OutOrStdout(), answer.body)
	}
	return show(c.OutOrStdout(), answer.body, answer.tag)
}
