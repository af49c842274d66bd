package command

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

// exporting are the flags of caddy dcr export.
type exporting struct {
	runningGateway
	act
	workspace, secrets string
}

func exportClients() *cobra.Command {
	var e exporting
	c := &cobra.Command{
		Use:   "export <file>",
		Short: "Writes the active clients to a file of JSON lines",
		Long: `Writes the active clients of one moment to a file of JSON lines, which caddy dcr import
reads; docs/import.md describes it. Clients that await approval are not in it. The gateway
serves meanwhile. - is standard output.

Without --secrets sealed the file has no secrets. With it they are encrypted with the
gateway's keyset: only a gateway with that keyset can import them.

The file gets its name when it is whole and on disk. An existing file is not overwritten.`,
		Example: `  caddy dcr export clients.jsonl --workspace default/obuk
  caddy dcr export clients.jsonl --secrets sealed --reason "a second site"`,
		Args: oneArgument("the file that the clients are written to, or -"),
		RunE: func(c *cobra.Command, args []string) error { return e.run(c, args[0]) },
	}
	e.runningGateway.flags(c)
	e.act.flags(c, "export")
	c.Flags().StringVar(&e.workspace, "workspace", "", "the clients of this workspace; default: of all")
	completeFlag(c, "workspace", completions(completeWorkspaces).from(&e.runningGateway))
	c.Flags().StringVar(&e.secrets, "secrets", "none", "sealed: with the secrets, encrypted; none: without")
	completeWords(c, "secrets", "none", "sealed")
	return c
}

func (e *exporting) run(c *cobra.Command, name string) error {
	if e.secrets != "none" && e.secrets != "sealed" {
		return usage("--secrets: write none or sealed, not %q", e.secrets)
	}
	if name != "-" {
		if err := mayWrite(name); err != nil {
			return err
		}
	}
	body, err := e.body()
	if err != nil {
		return err
	}
	api, err := e.open()
	if err != nil {
		return err
	}
	call := apiCall{method: http.MethodPost, path: "export", query: url.Values{"secrets": {e.secrets}}, body: body}
	if e.workspace != "" {
		call.query.Set("workspace", e.workspace)
	}
	if name == "-" {
		_, err := receive(c, api, call, c.OutOrStdout(), "export")
		return err
	}
	size, err := download(c, api, call, name, "export")
	if err != nil {
		return err
	}
	clients, err := exported(name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s, %s. To check it: caddy dcr import %s\n", name, count(clients, "active client", "active clients"), humanize.Bytes(size), name)
	return err
}

// exported is how many clients are in a file, as its first line says.
func exported(name string) (int, error) {
	file, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var header struct {
		Count int `json:"count"`
	}
	if err := json.NewDecoder(io.LimitReader(file, maxRefusal)).Decode(&header); err != nil {
		return 0, unreachable("the first line of %s is not what this version of the command knows: %w; %s", name, err, sameVersion)
	}
	return header.Count, nil
}
