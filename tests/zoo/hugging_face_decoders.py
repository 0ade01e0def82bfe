"""Hugging Face's decoders of text: transformers, mixtures of experts, state-space models."""

from typing import Any

from tests.observation import MakeInputs
from tests.zoo.hugging_face_building import hugging_face, padded_text, text
from tests.zoo.model import ZooModel


def _decoder(kind: str, inputs: MakeInputs = text, **config: Any) -> ZooModel:
    return hugging_face(kind, "ForCausalLM", inputs, **config)


def _experts(kind: str, **config: Any) -> ZooModel:
    """Of the ways that transformers has to compute experts, one knows double precision and has shapes of its own."""
    return _decoder(kind, options={"experts_implementation": "batched_mm"}, **_GROUPED | config)


_GROUPED: dict[str, Any] = {"num_key_value_heads": 2}
_HEADS: dict[str, Any] = {"num_key_value_heads": 2, "head_dim": 8}
_WINDOW: dict[str, Any] = {"sliding_window": 4}
_FOUR: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
_SCAN: dict[str, Any] = {"state_size": 4, "time_step_rank": 2, "conv_kernel": 3}

DECODERS = (
    _decoder("gpt2", inputs=padded_text),
    _decoder("gpt_neo", attention_types=[[["global", "local"], 1]], window_size=4),
    _decoder("gpt_neox"),
    _decoder("gptj", rotary_dim=4),
    _decoder("gpt_bigcode"),
    _decoder("openai-gpt"),
    _decoder("ctrl", dff=64),
    _decoder("opt", word_embed_proj_dim=32),
    _decoder("bloom"),
    _decoder("falcon"),
    _decoder("falcon", variant="grouped", new_decoder_architecture=True, num_kv_heads=2),
    _decoder("llama", inputs=padded_text, **_GROUPED),
    _decoder("llama", variant="eager", options={"attn_implementation": "eager"}, **_GROUPED),
    _decoder("mistral", **_GROUPED, **_WINDOW),
    _decoder("ministral", **_HEADS),
    _decoder("qwen2", **_GROUPED),
    _decoder("qwen3", **_HEADS),
    _decoder("gemma", **_HEADS),
    _decoder("gemma2", **_HEADS, **_WINDOW),
    _decoder("gemma3_text", **_HEADS, **_WINDOW),
    _decoder("phi", **_GROUPED),
    _decoder("phi3", **_GROUPED),
    _decoder("stablelm", **_GROUPED),
    _decoder("starcoder2", **_GROUPED),
    _decoder("olmo", **_GROUPED),
    _decoder("olmo2", **_GROUPED),
    _decoder("cohere", **_GROUPED),
    _decoder("cohere2", **_GROUPED, **_WINDOW),
    _decoder("codegen", rotary_dim=4),
    _decoder("mpt"),
    _decoder("persimmon"),
    _decoder("glm", **_HEADS),
    _decoder("granite", **_GROUPED),
    _decoder("helium", **_HEADS),
    _decoder("nemotron", **_GROUPED),
    _decoder("smollm3", **_GROUPED),
    _decoder("exaone4", **_GROUPED, **_WINDOW),
    _decoder("biogpt"),
    _decoder("xglm"),
    _decoder("modernbert-decoder", local_attention=4),
    _decoder("diffllama", **_GROUPED),
    _decoder("xlstm", num_heads=4, chunk_size=4),
)

EXPERTS = (
    _experts("mixtral", num_local_experts=4),
    _experts("qwen2_moe", shared_expert_intermediate_size=16, **_FOUR),
    _experts("qwen3_moe", head_dim=8, **_FOUR),
    _experts("olmoe", num_experts=4, num_experts_per_tok=2),
    _experts("phimoe", num_local_experts=4, router_jitter_noise=0.0),
    _experts("granitemoe", num_local_experts=4, num_experts_per_tok=2),
    _experts("gpt_oss", head_dim=8, num_local_experts=4, num_experts_per_tok=2, **_WINDOW),
    _experts(
        "deepseek_v3",
        num_key_value_heads=4,
        q_lora_rank=16,
        kv_lora_rank=16,
        qk_rope_head_dim=8,
        qk_nope_head_dim=8,
        v_head_dim=8,
        n_routed_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=16,
        first_k_dense_replace=1,
        n_group=1,
        topk_group=1,
    ),
    _decoder(
        "jetmoe",
        kv_channels=8,
        num_local_experts=4,
        num_experts_per_tok=2,
        note="rows are split among experts by sizes that depend on values",
        **_GROUPED,
    ),
)

STATE_SPACE = (
    _decoder("mamba", **_SCAN),
    _decoder("mamba2", num_heads=8, head_dim=8, state_size=8, n_groups=2, chunk_size=4, conv_kernel=3),
    _decoder("falcon_mamba", **_SCAN),
    _decoder("rwkv", attention_hidden_size=32, context_length=64, rescale_every=0),
    _decoder(
        "recurrent_gemma",
        num_key_value_heads=1,
        lru_width=32,
        attention_window_size=4,
        block_types=["recurrent", "attention"],
        conv1d_width=3,
    ),
    _experts(
        "jamba",
        attn_layer_period=2,
        attn_layer_offset=1,
        num_experts=2,
        num_experts_per_tok=1,
        expert_layer_period=2,
        expert_layer_offset=1,
        mamba_d_state=4,
        mamba_dt_rank=2,
        mamba_d_conv=3,
        use_mamba_kernels=False,
    ),
    _decoder(
        "bamba",
        mamba_n_heads=8,
        mamba_d_head=8,
        mamba_n_groups=1,
        mamba_d_state=8,
        mamba_d_conv=3,
        mamba_chunk_size=4,
        attn_layer_indices=[1],
        **_GROUPED,
    ),
)

MODELS: tuple[ZooModel, ...] = (*DECODERS, *EXPERTS, *STATE_SPACE)
