package crypto

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretNeverPrintsItself(t *testing.T) {
	const text = "hunter2"
	type holder struct {
		Key  Secret
		Ptr  *Secret
		List []Secret
		Map  map[string]Secret
	}
	s := Secret(text)
	h := holder{Key: s, Ptr: &s, List: []Secret{s}, Map: map[string]Secret{"k": s}}
	hexText := fmt.Sprintf("%x", text)

	for _, verb := range []string{"%v", "%+v", "%s", "%q", "%#v", "%x", "%X", "%d", "%t", "%10s", "%.3s"} {
		for _, value := range []any{s, &s, h, &h, []any{s}} {
			got := fmt.Sprintf(verb, value)
			if strings.Contains(got, text) || strings.Contains(strings.ToLower(got), hexText) || strings.Contains(got, text[:3]) {
				t.Errorf("Sprintf(%q, %T) = %s", verb, value, got)
			}
		}
	}
	if got := s.Reveal(); got != text {
		t.Errorf("Reveal() = %q, want %q", got, text)
	}
}

func TestSecretIsNotLoggedNorMarshalled(t *testing.T) {
	const text = "hunter2"
	s := Secret(text)
	type holder struct{ Key Secret }
	h := holder{Key: s}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "key", s, "holder", h, "list", []Secret{s})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "key", s, "holder", h, "list", []Secret{s})
	asJSON, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	asXML, err := xml.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	for where, got := range map[string]string{"slog": log.String(), "json": string(asJSON), "xml": string(asXML)} {
		if strings.Contains(got, text) || !strings.Contains(got, redacted) {
			t.Errorf("%s shows %s", where, got)
		}
	}
}
