package command

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Completion of the shell (caddy completion) asks the running gateway, and is silent where
// there is none.

const (
	// completionPatience is how long a shell waits for it.
	completionPatience = time.Second
	// completed is how many entries of a list it looks at.
	completed = 500
)

// completions are what could be written, from a list of the gateway.
type completions func(ctx context.Context, api *adminAPI, c *cobra.Command) []cobra.Completion

// from is a completion by cobra that asks the gateway of the command's flags.
func (f completions) from(g *runningGateway) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		api, err := g.open()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(contextOf(c)), completionPatience)
		defer cancel()
		var fit []cobra.Completion
		for _, one := range f(ctx, api, c) {
			// A shell reads each line as a word and what it is, with a tab between.
			word, about, _ := strings.Cut(one, "\t")
			if strings.HasPrefix(word, begun) && visible(word) == word {
				fit = append(fit, cobra.CompletionWithDesc(word, visible(about)))
			}
		}
		return fit, cobra.ShellCompDirectiveNoFileComp
	}
}

func contextOf(c *cobra.Command) context.Context {
	if c.Context() == nil {
		return context.Background()
	}
	return c.Context()
}

// first is the completion of the first argument alone.
func (f completions) first(g *runningGateway) cobra.CompletionFunc {
	complete := f.from(g)
	return func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(c, args, begun)
	}
}

// completeList completes with a member of the entries of a list, and another that says more.
func completeList(path, member, about string) completions {
	return func(ctx context.Context, api *adminAPI, c *cobra.Command) (words []cobra.Completion) {
		q := url.Values{"limit": {strconv.Itoa(completed)}}
		if w := c.Flag("workspace"); w != nil && w.Value.String() != "" {
			q.Set("workspace", w.Value.String())
		}
		answer, err := api.do(ctx, apiCall{method: http.MethodGet, path: path, query: q})
		if err != nil {
			return nil
		}
		page, err := decode[listPage](answer)
		if err != nil {
			return nil
		}
		there := map[string]bool{}
		for _, e := range page.Entries {
			var text map[string]any
			if json.Unmarshal(e, &text) != nil {
				continue
			}
			word, _ := text[member].(string)
			more, _ := text[about].(string)
			if word != "" && !there[word] && len(words) < completed {
				there[word] = true
				words = append(words, cobra.CompletionWithDesc(word, more))
			}
		}
		return words
	}
}

// completeWorkspaces completes with the workspaces of the gateway.
func completeWorkspaces(ctx context.Context, api *adminAPI, _ *cobra.Command) (words []cobra.Completion) {
	var s struct {
		Workspaces []struct {
			Workspace string `json:"workspace"`
		} `json:"workspaces"`
	}
	answer, err := api.do(ctx, apiCall{method: http.MethodGet, path: "status"})
	if err != nil || json.Unmarshal(answer.body, &s) != nil {
		return nil
	}
	for _, w := range s.Workspaces {
		words = append(words, w.Workspace)
	}
	return words
}

// workspaceFlag is --workspace of a command that asks a gateway.
func workspaceFlag(c *cobra.Command, to *string, g *runningGateway) {
	c.Flags().StringVar(to, "workspace", "", "the workspace; needed where the gateway has several")
	completeFlag(c, "workspace", completions(completeWorkspaces).from(g))
}

// completeFlag registers the completion of a flag.
func completeFlag(c *cobra.Command, flag string, with cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, with); err != nil {
		panic(err) // the flag is not there: any test sees it
	}
}

// completeFiles completes flags with names of files.
func completeFiles(c *cobra.Command, flags ...string) {
	for _, flag := range flags {
		if err := c.MarkFlagFilename(flag); err != nil {
			panic(err)
		}
	}
}

// completeWords completes a flag with words that are known.
func completeWords(c *cobra.Command, flag string, words ...string) {
	completeFlag(c, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}
