package schemas

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// catalogRow is an object as it is written.
type catalogRow struct {
	ID                  string   `parquet:"object_id"`
	Library             string   `parquet:"library_id,optional,dict"`
	Name                string   `parquet:"object_name,optional"`
	TitleID             string   `parquet:"ip_title_id,optional"`
	Title               string   `parquet:"title,optional"`
	TitleType           string   `parquet:"title_type,optional,dict"`
	AssetType           string   `parquet:"asset_type,optional,dict"`
	StorageBytes        *int64   `parquet:"storage_bytes,optional"`
	MasterAudioCodec    string   `parquet:"master_audio_codec,optional,dict"`
	MasterVideoCodec    string   `parquet:"master_video_codec,optional,dict"`
	MasterDuration      *int64   `parquet:"master_duration_us,optional"`
	MasterResolution    string   `parquet:"master_resolution,optional,dict"`
	MezzanineAudioCodec string   `parquet:"mezzanine_audio_codec,optional,dict"`
	MezzanineVideoCodec string   `parquet:"mezzanine_video_codec,optional,dict"`
	MezzanineDuration   *int64   `parquet:"mezzanine_duration_us,optional"`
	PlayoutFormats      []string `parquet:"mezzanine_playout_formats,list"`
	VideoSegments       *int64   `parquet:"video_segments,optional"`
}

// WriteCatalog writes a catalog snapshot in Parquet.
func WriteCatalog(w io.Writer, objects []CatalogObject) error {
	p := parquet.NewGenericWriter[catalogRow](w, parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}))
	for i := range objects {
		if _, err := p.Write([]catalogRow{newCatalogRow(&objects[i])}); err != nil {
			return fmt.Errorf("write catalog: %w", err)
		}
	}
	if err := p.Close(); err != nil {
		return fmt.Errorf("write catalog: %w", err)
	}
	return nil
}

func newCatalogRow(o *CatalogObject) catalogRow {
	return catalogRow{
		ID: string(o.ID), Library: o.Library, Name: o.Name, TitleID: o.TitleID, Title: o.Title,
		TitleType: o.TitleType, AssetType: o.AssetType, StorageBytes: given(o.StorageBytes),
		MasterAudioCodec: o.MasterAudioCodec, MasterVideoCodec: o.MasterVideoCodec,
		MasterDuration: given(o.MasterDuration), MasterResolution: o.MasterResolution,
		MezzanineAudioCodec: o.MezzanineAudioCodec, MezzanineVideoCodec: o.MezzanineVideoCodec,
		MezzanineDuration: given(o.MezzanineDuration), PlayoutFormats: o.PlayoutFormats,
		VideoSegments: given(o.VideoSegments),
	}
}

// given is nil for a number that is not given.
func given(v int64) *int64 {
	if v == None {
		return nil
	}
	return &v
}
