package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// tell tells all steps and counts those that went as they must.
func tell(ctx context.Context, play *story.Play) (passed int) {
	play.Tell = show
	for i, step := range slices.Concat(story.Steps, story.Operations) {
		fmt.Printf("\n=== Step %d: %s\n", i+1, step.Title)
		if err := step.Run(play, ctx); err != nil {
			fmt.Printf("--- step %d: NOT as expected: %v\n", i+1, err)
			continue
		}
		fmt.Printf("--- step %d: as expected\n", i+1)
		passed++
	}
	play.Tell = nil
	return passed
}

func show(s story.Scene) {
	fmt.Printf("\n$ %s\n", s.Command)
	if s.Response == nil {
		return
	}
	fmt.Printf("%d %s\n", s.Response.Status, http.StatusText(s.Response.Status))
	if v := s.Response.Header.Get("WWW-Authenticate"); v != "" {
		fmt.Printf("WWW-Authenticate: %s\n", v)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, s.Response.Body, "", "  "); err != nil {
		out.Reset()
		out.Write(s.Response.Body)
	}
	if out.Len() > 0 {
		fmt.Println(longText.ReplaceAllStringFunc(out.String(), func(text string) string {
			return fmt.Sprintf("%s... (%d characters)", text[:40], len(text))
		}))
	}
}

// longText is what nobody reads to its end: software statements.
var longText = regexp.MustCompile(`[A-Za-z0-9._-]{300,}`)
