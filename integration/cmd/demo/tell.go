package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// operations are the steps after the story: what operators do to the gateway.
var operations = []story.Step{
	{Title: "caddy validate beside the running server, then caddy reload", Run: reload},
	{Title: "A registration survives kill -9 right after its 201", Run: crash},
}

// tell tells all steps and counts those that went as they must.
func tell(ctx context.Context, stage *story.Stage) (passed int) {
	play := &story.Play{Stage: stage, Tell: show}
	for i, step := range append(append([]story.Step{}, story.Steps...), operations...) {
		fmt.Printf("\n=== Step %d: %s\n", i+1, step.Title)
		if err := step.Run(play, ctx); err != nil {
			fmt.Printf("--- step %d: NOT as expected: %v\n", i+1, err)
			continue
		}
		fmt.Printf("--- step %d: as expected\n", i+1)
		passed++
	}
	return passed
}

// shownBody is how much of an answer is printed.
const shownBody = 1500

func show(s story.Scene) {
	fmt.Printf("\n$ %s\n", s.Curl)
	fmt.Printf("%d %s\n", s.Response.Status, http.StatusText(s.Response.Status))
	if v := s.Response.Header.Get("WWW-Authenticate"); v != "" {
		fmt.Printf("WWW-Authenticate: %s\n", v)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, s.Response.Body, "", "  "); err != nil {
		out.Reset()
		out.Write(s.Response.Body)
	}
	if out.Len() > shownBody {
		out.Truncate(shownBody)
		out.WriteString("\n  ... (cut here)")
	}
	if out.Len() > 0 {
		fmt.Println(out.String())
	}
}

func reload(p *story.Play, ctx context.Context) error {
	for _, args := range [][]string{{"validate", "--config", "Caddyfile"}, {"reload", "--config", "Caddyfile", "--force"}} {
		fmt.Printf("\n$ caddy %s\n", args[0]+" --config Caddyfile")
		if _, err := p.Gateway.Command(ctx, args...); err != nil {
			return err
		}
	}
	r, err := p.Client(p.Acme).Discover(ctx, p.Issuer)
	if err == nil && r.Status != http.StatusOK {
		err = fmt.Errorf("after the reload: %s", r)
	}
	return err
}

func crash(p *story.Play, ctx context.Context) error {
	id, err := p.RegisterAnother(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("\n$ kill -9 %d\n$ caddy run --config Caddyfile\n", p.Gateway.Pid())
	if err := p.Gateway.Kill(); err != nil {
		return err
	}
	if err := p.Gateway.Restart(ctx); err != nil {
		return err
	}
	token, err := p.ClientToken(ctx, p.Acme, id)
	if err != nil {
		return err
	}
	var r *tpp.Response
	r, err = p.Client(p.Acme).Read(ctx, p.Register, id, token)
	if err == nil && (r.Status != http.StatusOK || r.Text("client_id") != id) {
		err = fmt.Errorf("after the crash: %s", r)
	}
	return err
}
