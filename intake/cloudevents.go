package intake

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/playmeter/playmeter/intake/elements"
)

// The media types of CloudEvents in JSON (CloudEvents 1.0, HTTP protocol binding).
const (
	typeStructured = "application/cloudevents+json"
	typeBatched    = "application/cloudevents-batch+json"
)

// envelope is what a CloudEvent says of the event that it holds. Where the event says so itself, that stands.
type envelope struct {
	id, source string
	time       int64 // Unix ns; 0: it does not say
	fault      string
}

// attributes are those of a CloudEvent that mean something here, by their names.
type attributes struct {
	version, id, source, kind, time, contentType, encoding string
	fault                                                  string
}

// set takes an attribute; others than those above are of no concern.
func (a *attributes) set(name, value string) {
	switch name {
	case "specversion":
		a.version = value
	case "id":
		a.id = value
	case "source":
		a.source = value
	case "type":
		a.kind = value
	case "time":
		a.time = value
	case "datacontenttype":
		a.contentType = value
	case "datacontentencoding": // of 0.3
		a.encoding = value
	}
}

// envelope is what the attributes say, as the specification has it (CloudEvents 1.0 and 0.3, "Context Attributes").
func (a *attributes) envelope() envelope {
	switch {
	case a.fault != "":
	case a.version != "1.0" && a.version != "0.3":
		a.fault = "has a specversion that is not known; send 1.0"
	case a.id == "":
		a.fault = "has no id"
	case a.source == "":
		a.fault = "has no source"
	case a.kind == "":
		a.fault = "has no type"
	case !isJSON(a.contentType):
		a.fault = "has data that is not JSON, by its datacontenttype"
	}
	at, err := instantOf(a.time)
	if err != nil && a.fault == "" {
		a.fault = "has a time that is not as RFC 3339 has it"
	}
	if a.fault != "" {
		return envelope{fault: "is no CloudEvent: it " + a.fault}
	}
	return envelope{id: a.id, source: a.source, time: at}
}

// instantOf is a time in Unix ns; 0 where none is given.
func instantOf(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, err
	}
	if at.Year() < 1900 || at.Year() > 2200 {
		return 1, nil // one that no event may bear, and that does not overflow
	}
	return at.UnixNano(), nil
}

// isJSON tells whether data of a media type are JSON; those without one are (CloudEvents 1.0, JSON format, 3.1).
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return false
	}
	return kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json")
}

// openEnvelope opens a CloudEvent in JSON, and gives the event in it. What is wrong is told without what stands there.
func openEnvelope(one []byte) (envelope, []byte) {
	if len(one) == 0 || one[0] != '{' || !json.Valid(one) {
		return envelope{fault: "is no CloudEvent: it is no JSON object"}, nil
	}
	var a attributes
	var data, packed []byte
	elements.Members(one, func(name, value []byte) {
		switch string(name) {
		case "data":
			data = given(value)
		case "data_base64":
			packed = given(value)
		case "specversion", "id", "source", "type", "time", "datacontenttype", "datacontentencoding":
			if given(value) == nil {
				return
			}
			var text string
			if json.Unmarshal(value, &text) != nil {
				a.fault = "has no text as its " + string(name)
			}
			a.set(string(name), text)
		}
	})
	if a.version != "0.3" {
		a.encoding = "" // a name of others
	}
	data, err := contentOf(data, packed, a.encoding)
	if err != nil && a.fault == "" {
		a.fault = err.Error()
	}
	return a.envelope(), data
}

// given is a value, or nil for null.
func given(value []byte) []byte {
	if string(value) == "null" {
		return nil
	}
	return value
}

// contentOf is the event: data, or what is packed in base64.
func contentOf(data, packed []byte, encoding string) ([]byte, error) {
	switch {
	case data != nil && packed != nil:
		return nil, errors.New("has both data and data_base64")
	case strings.EqualFold(encoding, "base64"):
		packed = data
	case encoding != "":
		return nil, errors.New("has a datacontentencoding that is not known; send base64, or none")
	}
	if packed == nil {
		return data, nil
	}
	var text string
	if json.Unmarshal(packed, &text) != nil {
		return nil, errors.New("has data_base64 that is no text")
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("has data_base64 that is no base64")
	}
	if data = bytes.TrimPrefix(data, []byte("\uFEFF")); !json.Valid(data) {
		return nil, errors.New("has data_base64 that is not JSON")
	}
	return data, nil
}

// headerEnvelope opens the envelope that the headers are (CloudEvents 1.0, HTTP protocol binding, 3.1).
func headerEnvelope(h http.Header, data []byte) (envelope, []byte) {
	a := attributes{contentType: h.Get("Content-Type")}
	for _, name := range []string{"specversion", "id", "source", "type", "time"} {
		a.set(name, plainHeader(h.Get("Ce-"+name)))
	}
	return a.envelope(), data
}

// quotedPair is how a character stands in quotes that would end them (RFC 9110, 5.6.4).
var quotedPair = regexp.MustCompile(`\\(.)`)

// plainHeader undoes the quotes and the percent signs of an attribute in a header; a percent sign that stands for itself stays.
func plainHeader(value string) string {
	if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
		value = quotedPair.ReplaceAllString(value[1:n-1], "$1")
	}
	if plain, err := url.PathUnescape(value); err == nil {
		return plain
	}
	return value
}
