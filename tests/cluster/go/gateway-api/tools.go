//go:build tools

// Package tools names the module whose files are used, so that go.sum covers it.
package tools

import _ "sigs.k8s.io/gateway-api/apis/v1"
