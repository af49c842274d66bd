package caddymodule

import (
	"fmt"
	"regexp"
)

// adminHost is a host name in lower case, without a port.
var adminHost = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)

func checkAdminHosts(hosts []string) error {
	for _, host := range hosts {
		if len(host) > 253 || !adminHost.MatchString(host) {
			return fmt.Errorf("admin_hosts: %q must be a host name in lower case, without a port", host)
		}
	}
	return nil
}
