package command

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

// status is caddy dcr status.
func status() *cobra.Command {
	var g runningGateway
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Shows the state of the gateway, its servers and its store",
		Long: `Shows the workspaces with their clients, open work, authorization server and directories,
the store, and the version and configuration of the program that answers. The gateway asks
no server for it: CHECKED is when it last did.`,
		Example: `  caddy dcr status
  caddy dcr status --address unix//run/caddy/admin.sock --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := g.open()
			if err != nil {
				return err
			}
			s, answer, err := get[gatewayStatus](c.Context(), api, "status", nil)
			switch {
			case err != nil:
				return err
			case asJSON:
				return printDocument(c.OutOrStdout(), answer.body)
			}
			return s.print(c.OutOrStdout())
		},
	}
	g.flags(c)
	jsonFlag(c, &asJSON)
	return c
}

// gatewayStatus is what is printed of the status. What a gateway does not say is left out.
type gatewayStatus struct {
	Workspaces     []workspaceStatus `json:"workspaces"`
	ClientsCounted bool              `json:"clients_counted"`
	Store          struct {
		FreeBytes   *uint64 `json:"free_bytes"`
		SizeBytes   *uint64 `json:"size_bytes"`
		Low         bool    `json:"low"`
		Schema      int     `json:"schema"`
		Sequence    uint64  `json:"sequence"`
		Unconfirmed bool    `json:"unconfirmed"`
	} `json:"store"`
	Version struct {
		Module string `json:"caddy_dcr"`
		Caddy  string `json:"caddy"`
		Go     string `json:"go"`
	} `json:"version"`
	ConfigurationHash string   `json:"configuration_hash"`
	FourEyes          []string `json:"four_eyes"`
}

type workspaceStatus struct {
	Workspace     string         `json:"workspace"`
	Clients       map[string]int `json:"clients"`
	Waiting       int            `json:"waiting"`
	Oldest        int64          `json:"oldest"`
	Discrepancies map[string]int `json:"discrepancies"`
	Server        struct {
		URL       string            `json:"url"`
		Reachable *bool             `json:"reachable"`
		CheckedAt time.Time         `json:"checked_at"`
		Error     string            `json:"error"`
		Breakers  map[string]string `json:"circuit_breakers"`
	} `json:"authorization_server"`
	Directories []struct {
		Directory string    `json:"directory"`
		URL       string    `json:"url"`
		FetchedAt time.Time `json:"fetched_at"`
		Error     string    `json:"error"`
		CheckedAt time.Time `json:"checked_at"`
	} `json:"directories"`
}

func (s *gatewayStatus) print(out io.Writer) error {
	d := details{out: out}
	if v := s.Version; v.Go != "" {
		d.value("version", strings.Join([]string{"caddy-dcr", v.Module, "caddy", v.Caddy, v.Go}, " "))
	}
	d.value("configuration", s.ConfigurationHash)
	d.value("two operators for", s.FourEyes)
	if s.Store.SizeBytes != nil {
		d.value("store", fmt.Sprintf("%s, schema %d, commit %d", humanize.Bytes(*s.Store.SizeBytes), s.Store.Schema, s.Store.Sequence))
	}
	if s.Store.FreeBytes != nil {
		d.value("free disk space", humanize.Bytes(*s.Store.FreeBytes))
	}
	if s.Store.Low {
		d.value("disk", "almost full: see docs/store.md")
	}
	if s.Store.Unconfirmed {
		d.value("epoch", "unconfirmed: the store was restored, or has lost something; see caddy dcr epoch show")
	}
	if !s.ClientsCounted {
		d.value("clients", "not all counted yet: the gateway has just started")
	}
	if err := d.section("Workspaces", rowsOf(s.Workspaces, workspaceRow), column{title: "WORKSPACE", whole: true}, column{title: "CLIENTS"}, column{title: "OUTBOX"}, column{title: "OLDEST", whole: true}, column{title: "DISCREPANCIES"}, column{title: "STATUS", wraps: true}); err != nil {
		return err
	}
	var servers [][]string
	for _, w := range s.Workspaces {
		servers = append(servers, w.servers()...)
	}
	if err := d.section("Servers", servers, column{title: "STATE", whole: true, colours: serverColours}, column{title: "SERVER", whole: true}, column{title: "CHECKED", whole: true}, column{title: "URL"}, column{title: "WORKSPACE"}, column{title: "ERROR", wraps: true}); err != nil {
		return err
	}
	return d.flush()
}

func workspaceRow(w workspaceStatus) []string {
	clients, discrepancies := 0, 0
	var byStatus []string
	for _, status := range slices.Sorted(maps.Keys(w.Clients)) {
		if n := w.Clients[status]; n > 0 {
			clients += n
			byStatus = append(byStatus, fmt.Sprintf("%d %s", n, status))
		}
	}
	for _, n := range w.Discrepancies {
		discrepancies += n
	}
	return []string{w.Workspace, strconv.Itoa(clients), strconv.Itoa(w.Waiting), secondsText(w.Oldest), strconv.Itoa(discrepancies), strings.Join(byStatus, ", ")}
}

var serverColours = map[string]string{"failing": "31"}

// servers are the rows of the authorization server and the directories.
func (w *workspaceStatus) servers() (rows [][]string) {
	if as := w.Server; as.URL != "" {
		state := "unknown"
		if as.Reachable != nil {
			state = map[bool]string{true: "ok", false: "failing"}[*as.Reachable]
		}
		message := as.Error
		for _, name := range slices.Sorted(maps.Keys(as.Breakers)) {
			if breaker := as.Breakers[name]; breaker != "closed" {
				state, message = "failing", strings.TrimPrefix(message+"; circuit breaker "+name+" "+breaker, "; ")
			}
		}
		rows = append(rows, []string{state, "authorization server", timeText(as.CheckedAt), as.URL, w.Workspace, message})
	}
	for _, d := range w.Directories {
		state := "ok"
		switch {
		case d.Error != "":
			state = "failing"
		case d.FetchedAt.IsZero() && d.CheckedAt.IsZero():
			state = "unknown"
		}
		rows = append(rows, []string{state, d.Directory, timeText(d.CheckedAt), d.URL, w.Workspace, d.Error})
	}
	return rows
}
