package caddymodule

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Some handlers answer a request by themselves, so that none after them sees it. Which of
// Caddy's do is told here, as their source has it.

// statusOf is the status of a static_response; "" for the default, and "0" for one that
// closes the connection instead.
func statusOf(m *caddyhttp.StaticResponse) string {
	if m.Abort {
		return "0"
	}
	return m.StatusCode.String()
}

// ends tells whether no request goes on behind a handler. The answer 103 (early hints) is
// not the last one, so that static_response with it hands on. failed says that requests
// may have an error: its status, which may be 103, is then the default.
func (m *siteHandler) ends(failed bool) bool {
	switch m.name {
	case "static_response":
		switch code, err := strconv.Atoi(m.status); {
		case m.status == "":
			return !failed
		case strings.Contains(m.status, "{"):
			return false
		default:
			return err != nil || code != 103
		}
	case "file_server":
		return !m.passThru
	case "error", "metrics", "copy_response":
		return true
	}
	return false
}
