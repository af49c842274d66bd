// Package docs holds what the gateway serves of its documentation.
package docs

import _ "embed"

// AdminAPI describes the admin API, OpenAPI 3.1.
//
//go:embed admin-api.json
var AdminAPI []byte
