"""Hugging Face's encoders and encoder-decoders of text."""

from typing import Any

from tests.observation import MakeInputs
from tests.zoo.hugging_face_building import (
    LENGTH,
    VOCABULARY,
    hugging_face,
    padded_text,
    text,
    two_padded_texts,
    two_texts,
)
from tests.zoo.model import ZooModel


def _encoder(kind: str, head: str = "ForSequenceClassification", inputs: MakeInputs = text, **config: Any) -> ZooModel:
    return hugging_face(kind, head, inputs, **config)


def _translator(kind: str, inputs: MakeInputs = two_texts, **config: Any) -> ZooModel:
    return hugging_face(kind, "ForSeq2SeqLM", inputs, outputs=("logits",), **config)


_DEBERTA: dict[str, Any] = {"pos_att_type": ["c2p", "p2c"], "relative_attention": True}
_T5: dict[str, Any] = {"d_kv": 8, "num_decoder_layers": 2}

ENCODERS = (
    _encoder("bert", inputs=padded_text),
    _encoder("bert", "ForMaskedLM", variant="masked-lm"),
    _encoder("bert", "ForTokenClassification", variant="eager", options={"attn_implementation": "eager"}),
    _encoder("roberta", inputs=padded_text),
    _encoder("roberta-prelayernorm"),
    _encoder("albert", embedding_size=16),
    _encoder("electra", embedding_size=16),
    _encoder("deberta", max_relative_positions=16, **_DEBERTA),
    _encoder("deberta-v2", position_buckets=8, **_DEBERTA),
    _encoder("distilbert"),
    _encoder("mpnet"),
    _encoder("camembert", "ForTokenClassification"),
    _encoder("xlm-roberta", "ForQuestionAnswering", num_labels=2),
    _encoder("xlm"),
    _encoder("flaubert"),
    _encoder("fnet", note="a Fourier transform runs along the hidden dim"),
    _encoder("nystromformer", num_landmarks=LENGTH, segment_means_seq_len=LENGTH),
    _encoder("convbert", embedding_size=32, conv_kernel_size=3),
    _encoder("squeezebert", embedding_size=32, q_groups=2, k_groups=2, v_groups=2, post_attention_groups=1),
    _encoder("roformer", embedding_size=32),
    _encoder("rembert", input_embedding_size=16, output_embedding_size=16),
    _encoder("modernbert", local_attention=4, global_attn_every_n_layers=2, cls_token_id=3, sep_token_id=4),
    _encoder("mobilebert", embedding_size=16, true_hidden_size=16, intra_bottleneck_size=16),
    _encoder("funnel", block_sizes=[1, 1], d_head=8, d_inner=64),
    _encoder("longformer", attention_window=4),
    _encoder("big_bird", attention_type="original_full"),
    _encoder("megatron-bert"),
    _encoder("ernie"),
    _encoder("esm", "ForMaskedLM", position_embedding_type="rotary", mask_token_id=4),
    _encoder("data2vec-text"),
    _encoder("nomic_bert"),
    _encoder("layoutlm", max_2d_position_embeddings=64),
    _encoder("canine", num_hash_buckets=16, downsampling_rate=2, local_transformer_stride=4),
    _encoder("xlnet", d_inner=64, outputs=("logits",)),
    _encoder("xmod", default_language="en_XX", languages=["en_XX"], note="each language picks its rows by a mask"),
    _encoder("yoso"),
)

ENCODER_DECODERS = (
    _translator("t5", **_T5),
    _translator("mt5", **_T5),
    _translator("umt5", **_T5),
    _translator("longt5", inputs=two_padded_texts, local_radius=2, **_T5),
    _translator(
        "switch_transformers",
        inputs=two_padded_texts,
        num_experts=2,
        num_sparse_encoder_layers=1,
        num_sparse_decoder_layers=1,
        router_jitter_noise=0.0,
        **_T5,
    ),
    _translator("bart", inputs=two_padded_texts),
    _translator("pegasus"),
    _translator("mbart"),
    _translator("marian", decoder_start_token_id=0),
    _translator("blenderbot"),
    _translator("m2m_100"),
    _translator("mvp"),
    _translator("plbart"),
    _translator("led", attention_window=4, max_encoder_position_embeddings=64, max_decoder_position_embeddings=64),
    _translator(
        "prophetnet",
        num_encoder_layers=2,
        num_decoder_layers=2,
        num_encoder_attention_heads=4,
        num_decoder_attention_heads=4,
    ),
    _translator("fsmt", langs=["en", "de"], src_vocab_size=VOCABULARY, tgt_vocab_size=VOCABULARY),
)

MODELS: tuple[ZooModel, ...] = (*ENCODERS, *ENCODER_DECODERS)
