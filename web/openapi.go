package web

import (
	_ "embed"
	"net/http"
	"strconv"
)

//go:embed assets/openapi.json
var openapiText []byte

// openapi describes the API to programs. Source: OpenAPI 3.1.
func (v *service) openapi(w http.ResponseWriter, q *request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(openapiText)))
	if q.Method != http.MethodHead {
		_, _ = w.Write(openapiText) // whoever does not read it has gone
	}
	return nil
}
