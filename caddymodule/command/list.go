package command

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

// listing are the flags of every command that lists something.
type listing struct {
	runningGateway
	limit     int
	all, json bool
}

func (l *listing) flags(c *cobra.Command) {
	l.runningGateway.flags(c)
	f := c.Flags()
	f.IntVar(&l.limit, "limit", 100, "print at most so many")
	f.BoolVar(&l.all, "all", false, "print all, however many")
	f.BoolVar(&l.json, "json", false, "print the entries of the admin API, a JSON document in each line")
}

// list is a list of the admin API: each entry is a T.
type list[T any] struct {
	// path and query are those of the list. Pages are asked for with limit and cursor.
	path  string
	query url.Values
	// columns and row are its table.
	columns []column
	row     func(T) []string
	// what the entries are, like clients.
	what string
	// narrower is the flag for the last entries of a list that has the oldest first. Default: none.
	narrower string
}

// maxPage is the longest page that the admin API gives.
const maxPage = 1000

// listPage is one page of a list.
type listPage struct {
	Entries []json.RawMessage `json:"entries"`
	Next    string            `json:"next"`
	// Looked is how many records were looked at for it, in a list that has filters.
	Looked int `json:"looked"`
}

// printList prints a list, page by page, and says where there is more.
func printList[T any](c *cobra.Command, l *listing, of list[T]) error {
	switch {
	case l.all && c.Flags().Changed("limit"):
		return usage("give --limit or --all, not both")
	case l.limit < 1:
		return usage("--limit: must be 1 or more")
	}
	api, err := l.open()
	if err != nil {
		return err
	}
	p := startProgress(c.ErrOrStderr(), progressEvery, "waiting for the gateway at "+api.address)
	defer p.stop()
	t := newTable(c.OutOrStdout(), of.columns...)
	printed, looked, cursor := 0, 0, ""
	for {
		page, err := of.page(c.Context(), api, cursor, l.left(printed))
		if err != nil {
			return err
		}
		entries := page.Entries[:min(len(page.Entries), l.left(printed))]
		if err := of.print(c, t, entries, l.json); err != nil {
			return err
		}
		printed += len(entries)
		looked += page.Looked
		more := page.Next != "" || len(entries) < len(page.Entries)
		switch {
		case page.Next != "" && page.Next == cursor:
			return unreachable("the gateway's list does not end: its cursor stays the same; %s", sameVersion)
		case !more && printed == 0 && !l.json:
			c.PrintErrf("no %s\n", of.what)
			return nil
		case !more:
			return nil
		case l.left(printed) == 0:
			flags := "--limit <number>, or --all"
			if of.narrower != "" {
				flags = of.narrower + ", " + flags
			}
			c.PrintErrf("there may be more %s: %s\n", of.what, flags)
			return nil
		}
		cursor = page.Next
		if p.say("%d %s so far", printed, of.what); looked > 0 {
			p.say("%d %s so far, looked at %d", printed, of.what, looked)
		}
	}
}

// left is how many may still be printed.
func (l *listing) left(printed int) int {
	if l.all {
		return 1 << 30
	}
	return l.limit - printed
}

func (of *list[T]) page(ctx context.Context, api *adminAPI, cursor string, limit int) (page listPage, err error) {
	q := url.Values{}
	for name, values := range of.query {
		if values[0] != "" {
			q[name] = values
		}
	}
	q.Set("limit", strconv.Itoa(min(limit, maxPage)))
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	answer, err := api.do(ctx, apiCall{method: http.MethodGet, path: of.path, query: q})
	if err != nil {
		return page, err
	}
	return decode[listPage](answer)
}

func (of *list[T]) print(c *cobra.Command, t *table, entries []json.RawMessage, asJSON bool) error {
	if asJSON {
		return printLines(c.OutOrStdout(), entries)
	}
	var rows [][]string
	for _, e := range entries {
		one, err := decode[T](&apiAnswer{body: e})
		if err != nil {
			return err
		}
		rows = append(rows, of.row(one))
	}
	return t.print(rows)
}
