package command

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// jsonFlag is --json of a command that shows or changes one thing.
func jsonFlag(c *cobra.Command, to *bool) {
	c.Flags().BoolVar(to, "json", false, "print the answer of the admin API, in JSON")
}

// printDocument prints an answer of the admin API, with all its members as they came.
func printDocument(out io.Writer, document json.RawMessage) error {
	if document == nil {
		return nil
	}
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(document), "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := out.Write(strictjson.Printable(b.Bytes()))
	return err
}

// printReportJSON prints what a command has found itself.
func printReportJSON(out io.Writer, report any) error {
	var b bytes.Buffer
	to := json.NewEncoder(&b)
	to.SetEscapeHTML(false)
	to.SetIndent("", "  ")
	if err := to.Encode(report); err != nil {
		return err
	}
	_, err := out.Write(strictjson.Printable(b.Bytes()))
	return err
}

// printLines prints entries of a list, each in a line of its own (JSON lines).
func printLines(out io.Writer, entries []json.RawMessage) error {
	var b bytes.Buffer
	for _, e := range entries {
		if err := json.Compact(&b, e); err != nil {
			return err
		}
		b.WriteByte('\n')
	}
	_, err := out.Write(strictjson.Printable(b.Bytes()))
	return err
}
