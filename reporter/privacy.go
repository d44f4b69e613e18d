package reporter

import (
	"fmt"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// masker masks a tenant's sessions as the rules of a month say; nil where they mask nothing.
//
//   - Errors: pseudonyms that were made with another key than ours. A month that mixed two would
//     show one viewer as two.
func (r *Reporter) masker(tenant schemas.Tenant, rules accounting.Rules) (*accounting.Masker, error) {
	if !rules.Privacy.Any() {
		return nil, nil
	}
	r.tenantsMu.Lock()
	pseudonyms := r.Pseudonyms
	r.tenantsMu.Unlock()
	if ours := pseudonyms.Fingerprint(); ours != rules.Privacy.Key {
		return nil, fmt.Errorf(`the month masks viewers with the key %s, and this data directory has %s: copy keys/pseudonyms from where the month was begun, or take this key for the whole month with "playmeter run --rules=current"`, rules.Privacy.Key, describe(ours))
	}
	return accounting.NewMasker(rules.Privacy, pseudonyms.Key(string(tenant))), nil
}

func describe(fingerprint string) string {
	if fingerprint == "" {
		return "none"
	}
	return fingerprint
}
