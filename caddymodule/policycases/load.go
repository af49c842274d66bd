package policycases

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

const namespace = "http.openbanking_dcr.policies."

// isPolicy tells whether a file's ending is a policy language of this build.
func isPolicy(path string) bool {
	language := strings.TrimPrefix(filepath.Ext(path), ".")
	_, err := caddy.GetModule(namespace + language)
	return language != "" && err == nil
}

// Load reads a policy's file. unload ends it.
func Load(ctx context.Context, path string) (p verify.Policy, unload func(), err error) {
	if !isPolicy(path) {
		return nil, nil, fmt.Errorf("%s: no policy language of this build ends so", path)
	}
	info, err := caddy.GetModule(namespace + strings.TrimPrefix(filepath.Ext(path), "."))
	if err != nil {
		return nil, nil, err
	}
	config, err := json.Marshal(map[string]string{"file": path})
	if err != nil {
		return nil, nil, err
	}
	of, cancel := caddy.NewContext(caddy.Context{Context: ctx})
	module, err := of.LoadModuleByID(string(info.ID), config)
	if err == nil {
		var ok bool
		if p, ok = module.(verify.Policy); ok {
			return p, cancel, nil
		}
		err = fmt.Errorf("%T is no policy", module)
	}
	cancel()
	return nil, nil, err
}
