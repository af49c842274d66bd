// Command build makes the caddy binary that xcaddy.json describes. xcaddy has
// no configuration file of its own, but its Builder has JSON names for
// everything, and this is what the file holds.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/caddyserver/xcaddy"
)

func main() {
	config := flag.String("config", "", "file to build from (default: the nearest xcaddy.json in this folder or above)")
	output := flag.String("o", "caddy", "binary to write; a relative name counts from the file's folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *config, *output, flag.Args(), os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, config, output string, rest []string, w io.Writer) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q", rest[0])
	}
	if config == "" {
		dir, err := os.Getwd()
		if err != nil {
			return err
		}
		if config, err = findConfig(dir); err != nil {
			return err
		}
	}
	config, err := filepath.Abs(config)
	if err != nil {
		return err
	}
	builder, err := readConfig(config)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(output) {
		output = filepath.Join(filepath.Dir(config), output)
	}
	return build(ctx, builder, output, w)
}

// build runs xcaddy. Its own output and that of the go command go to a file,
// which is shown only when something failed.
func build(ctx context.Context, builder xcaddy.Builder, output string, w io.Writer) error {
	// A go.work above the temporary folder would replace what xcaddy.json names.
	if err := os.Setenv("GOWORK", "off"); err != nil {
		return err
	}
	details, err := os.CreateTemp("", "build-*.log")
	if err != nil {
		return err
	}
	defer os.Remove(details.Name())
	defer details.Close()

	progress := newProgress(w)
	progress.step("build %s with Caddy %s and %s", output, builder.CaddyVersion, plugins(builder))
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = details, details // where xcaddy sends its children's output
	log.SetOutput(io.MultiWriter(details, progress))
	err = builder.Build(ctx, output)
	log.SetOutput(stderr)
	os.Stdout, os.Stderr = stdout, stderr
	progress.end()

	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case err != nil:
		return fmt.Errorf("%w\n%s", err, lastLines(details, 4<<10))
	}
	info, err := os.Stat(output)
	if err != nil {
		return err
	}
	progress.step("done: %s, %d MB", output, info.Size()>>20)
	return nil
}

func plugins(builder xcaddy.Builder) string {
	var names []string
	for _, plugin := range builder.Plugins {
		names = append(names, plugin.String())
	}
	return strings.Join(names, ", ")
}

// lastLines is the end of a file, at most size bytes of whole lines.
func lastLines(f *os.File, size int64) string {
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	from := max(0, info.Size()-size)
	raw, err := io.ReadAll(io.NewSectionReader(f, from, size))
	if err != nil {
		return ""
	}
	text := string(raw)
	if _, after, found := strings.Cut(text, "\n"); from > 0 && found {
		text = after
	}
	return strings.TrimSpace(text)
}
