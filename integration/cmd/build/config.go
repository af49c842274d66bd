package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/xcaddy"
)

// configName is the file that says what the binary is made of.
const configName = "xcaddy.json"

// maxConfig bounds the file in bytes.
const maxConfig = 1 << 20

// findConfig returns the nearest xcaddy.json in dir or above it.
func findConfig(dir string) (string, error) {
	for at := dir; ; at = filepath.Dir(at) {
		file := filepath.Join(at, configName)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no %s in %s or above", configName, dir)
		}
	}
}

// readConfig reads a file that holds xcaddy's own Builder as JSON.
func readConfig(file string) (xcaddy.Builder, error) {
	f, err := os.Open(file)
	if err != nil {
		return xcaddy.Builder{}, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return xcaddy.Builder{}, err
	}
	if len(raw) > maxConfig {
		return xcaddy.Builder{}, fmt.Errorf("%s: larger than %d bytes", file, maxConfig)
	}
	builder, err := decodeConfig(raw, filepath.Dir(file))
	if err != nil {
		return xcaddy.Builder{}, fmt.Errorf("%s: %w", file, err)
	}
	return builder, nil
}

// decodeConfig decodes strictly: a misspelt word would otherwise build something
// else in silence. Relative paths count from dir, not from the temporary folder
// in which xcaddy builds. An unnamed version is refused, because the binary
// would differ from day to day.
func decodeConfig(raw []byte, dir string) (xcaddy.Builder, error) {
	var builder xcaddy.Builder
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&builder); err != nil {
		return builder, fmt.Errorf("decode: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return builder, errors.New("decode: something follows the JSON object")
	}
	if builder.CaddyVersion == "" {
		return builder, errors.New("caddy_version is missing")
	}
	for i, plugin := range builder.Plugins {
		switch {
		case plugin.PackagePath == "":
			return builder, fmt.Errorf("plugins[%d]: module_path is missing", i)
		case plugin.Version == "":
			return builder, fmt.Errorf("plugins[%d]: version is missing (v0.0.0 for one that is replaced by a folder)", i)
		}
	}
	for i := range builder.Replacements {
		replacement := &builder.Replacements[i]
		if replacement.Old == "" || replacement.New == "" {
			return builder, fmt.Errorf("replacements[%d]: old or new is missing", i)
		}
		if path := replacement.New.String(); isRelative(path) {
			replacement.New = xcaddy.ReplacementPath(filepath.Join(dir, path))
		}
	}
	for i := range builder.EmbedDirs {
		if embedded := &builder.EmbedDirs[i]; !filepath.IsAbs(embedded.Dir) {
			embedded.Dir = filepath.Join(dir, embedded.Dir)
		}
	}
	return builder, nil
}

// isRelative tells a folder from a module path, as go.mod does.
func isRelative(path string) bool {
	slashed := filepath.ToSlash(path)
	return slashed == "." || slashed == ".." || strings.HasPrefix(slashed, "./") || strings.HasPrefix(slashed, "../")
}
