package main

import (
	"reflect"
	"strings"
)

// fieldByName is the field that a key of the file fills.
func fieldByName(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("yaml"); tag != "" && tag == name {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// fieldNames are the keys of a group of settings, in their order.
func fieldNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("yaml"); tag != "" {
			names = append(names, tag)
		}
	}
	return names
}

// settings calls f for every setting that is one text, with its path.
func settings(v reflect.Value, path string, f func(path string, field any)) {
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag.Get("yaml")
		if tag == "" {
			continue
		}
		key, field := strings.TrimPrefix(path+"."+tag, "."), v.Field(i)
		_, custom := field.Addr().Interface().(nodeDecoder)
		switch {
		case field.Kind() == reflect.Struct && !custom:
			settings(field, key, f)
		case field.Kind() != reflect.Slice:
			f(key, field.Addr().Interface())
		}
	}
}

// didYouMean suggests the nearest of the names, if one is near.
func didYouMean(name string, names []string) string {
	best, distance := "", 3
	for _, n := range names {
		if d := editDistance(name, n); d < distance && d < len(n) {
			best, distance = n, d
		}
	}
	if best == "" {
		return "; here are " + alternatives(names)
	}
	return "; did you mean " + best + "?"
}

// editDistance is Levenshtein's, for short words; long ones are far apart.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			if a[i] == b[j] {
				row[j+1] = diagonal
			} else {
				row[j+1] = 1 + min(diagonal, row[j], above)
			}
			diagonal = above
		}
	}
	return row[len(b)]
}
